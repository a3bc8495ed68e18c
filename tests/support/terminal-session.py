"""Runs a program in a pseudo-terminal of 80 by 24 and follows a script of lines on standard input, in JSON:
{"wait": "regular expression"}, {"type": "text"}, {"signal": number}, {"end": true}. What the program shows is answered as JSON at the end, with
its exit status and the modes of the terminal before and after."""

import fcntl, json, os, pty, re, select, signal, struct, sys, termios, time

PATIENCE_S = 120


def modes(terminal):
    return [value if not isinstance(value, list) else [c if isinstance(c, int) else c.decode("latin1") for c in value]
            for value in termios.tcgetattr(terminal)]


def main():
    script, command = json.loads(sys.argv[1]), sys.argv[2:]
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = modes(slave)
    child = os.fork()
    if child == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(slave, descriptor)
        os.execvp(command[0], command)
    shown, at, problem = b"", 0, None

    def read(seconds):
        nonlocal shown
        ready, _, _ = select.select([master], [], [], seconds)
        if ready:
            shown += os.read(master, 65536)

    for step in script:
        if "type" in step:
            os.write(master, step["type"].encode())
        elif "signal" in step:
            os.kill(child, step["signal"])
        else:
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                found = re.compile(step["wait"].encode(), re.S).search(shown, at)
                if found:
                    at = found.end()
                    break
                read(0.1)
            else:
                problem = "no %r" % step["wait"]
                os.kill(child, signal.SIGKILL)
                break
    deadline = time.monotonic() + PATIENCE_S
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            problem = problem or "it does not end"
            os.kill(child, signal.SIGKILL)
        read(0.1)
    read(0)
    print(json.dumps({
        "status": os.waitstatus_to_exitcode(status),
        "shown": shown.decode("utf8", "replace"),
        "restored": before == modes(slave),
        "problem": problem,
    }))


main()
