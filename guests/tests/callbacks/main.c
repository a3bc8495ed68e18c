/**
 * Callbacks and assists: callback_op registers and replaces the event callback at once, refuses unknown types
 * (-ENOSYS) and addresses that are not canonical (-EINVAL); the old set_callbacks does the same for three of them;
 * vm_assist switches known types only.
 */
#include "kit.h"

extern char event_entry[], failsafe_entry[], syscall_entry[], other_event_entry[];
static u32 port, plain;
static volatile u32 diverted;

/* Counts in a register-free way and goes on to the kit's own entry. */
__asm__(".text; other_event_entry: lock incl diverted(%rip); jmp event_entry");

static void count(u32 p UNUSED, struct regs *regs UNUSED) { plain++; }

static s64 register_callback(u16 type, u64 address) {
  struct callback callback = {.type = type, .address = address};
  return xen_callback_op(CALLBACKOP_register, &callback);
}

int main(void) {
  event_bind_ipi(0, &port);
  event_bind(port, count);
  CLAIM(register_callback(CALLBACK_event, (u64)other_event_entry) == 0, "register");
  event_send(port);
  CLAIM(plain == 1 && diverted == 1, "the new callback: %u events, %u diverted", plain, diverted);
  CLAIM(HYPERCALL3(HC_set_callbacks, event_entry, failsafe_entry, syscall_entry) == 0, "set_callbacks");
  event_send(port);
  CLAIM(plain == 2 && diverted == 1, "back to the old one: %u events, %u diverted", plain, diverted);

  CLAIM(register_callback(99, (u64)event_entry) == -ENOSYS, "callback type 99");
  CLAIM(register_callback(CALLBACK_event, 0x8000000000000000) == -EINVAL, "a non-canonical callback");
  CLAIM(xen_callback_op(CALLBACKOP_register, NULL) == -EFAULT, "a callback at NULL");
  CLAIM(xen_callback_op(99, &port) == -ENOSYS, "callback_op 99");
  struct callback event = {.type = CALLBACK_event};
  CLAIM(xen_callback_op(CALLBACKOP_unregister, &event) == -EINVAL, "the event callback cannot be unregistered");
  event_send(port);
  CLAIM(plain == 3, "a refused request changed the callback");

  CLAIM(xen_vm_assist(VMASST_enable, VMASST_writable_pagetables) == 0, "writable_pagetables");
  CLAIM(xen_vm_assist(VMASST_disable, VMASST_writable_pagetables) == 0, "and off");
  CLAIM(xen_vm_assist(99, VMASST_writable_pagetables) == -ENOSYS, "vm_assist command 99");
  CLAIM(HYPERCALL2(HC_set_debugreg, 0, event_entry) == 0 && HYPERCALL1(HC_get_debugreg, 0) == (s64)event_entry, "debug register 0");
  CLAIM(HYPERCALL2(HC_set_debugreg, 0, XEN_VIRT_START) < 0, "a breakpoint in Xen");
  CLAIM(HYPERCALL2(HC_set_debugreg, 99, 0) == -EINVAL || HYPERCALL2(HC_set_debugreg, 99, 0) == -19, "debug register 99");
  HYPERCALL2(HC_set_debugreg, 0, 0);
  return success("event callback, old form, refusals, assists");
}
