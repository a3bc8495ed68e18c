/**
 * Hostile: loops for ever with events masked. Nothing it does should need its cooperation.
 * Expected: keeps running until it is destroyed; others keep their pace; it can be paused and destroyed at any time.
 */
#include "kit.h"

int main(void) {
  printk("HOSTILE masked-loop: expected: keeps running\n");
  events_disable();
  for (;;) __asm__ volatile("");
}
