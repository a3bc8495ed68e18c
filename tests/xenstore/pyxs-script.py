"""What pyxs, a XenStore client in Python that others wrote, can do with the daemon at XENSTORED_PATH."""
import errno
import threading

import pyxs


def expect(got, wanted, what):
    assert got == wanted, "%s: %r, not %r" % (what, got, wanted)
    print("ok", what)


def expect_error(code, what, function, *args):
    try:
        function(*args)
    except pyxs.PyXSError as error:
        expect(error.args[0], code, what)
        return
    raise AssertionError("%s: no error" % what)


with pyxs.Client() as client, pyxs.Client() as other:
    client.write(b"/py/a", b"one")
    expect(client.read(b"/py/a"), b"one", "read")
    expect(client.read(b"/py/none", b"default"), b"default", "read with a default")
    expect_error(errno.ENOENT, "read of a missing node", client.read, b"/py/none")
    client.mkdir(b"/py/dir")
    expect(sorted(client.list(b"/py")), [b"a", b"dir"], "list")
    expect(client.exists(b"/py/a"), True, "exists")
    expect(client.get_domain_path(5), b"/local/domain/5", "get_domain_path")
    expect(client.is_domain_introduced(0), True, "is_domain_introduced")
    client.set_perms(b"/py/a", [b"b0", b"r7"])
    expect(client.get_perms(b"/py/a"), [b"b0", b"r7"], "permissions")
    client.delete(b"/py/dir")
    expect(client.list(b"/py"), [b"a"], "delete")

    # a transaction that commits
    client.transaction()
    client.write(b"/py/t", b"1")
    expect(other.exists(b"/py/t"), False, "not visible before the commit")
    expect(client.commit(), True, "commit")
    expect(other.read(b"/py/t"), b"1", "visible after it")

    # one that is rolled back
    client.transaction()
    client.write(b"/py/t", b"2")
    client.rollback()
    expect(other.read(b"/py/t"), b"1", "rollback")

    # one that conflicts
    client.transaction()
    client.write(b"/py/t", client.read(b"/py/t") + b"mine")
    other.write(b"/py/t", b"theirs")
    expect(client.commit(), False, "a conflict")
    expect(other.read(b"/py/t"), b"theirs", "the winner's value")

    # watches
    monitor = client.monitor()
    monitor.watch(b"/py/w", b"token")
    events = monitor.wait()
    expect(tuple(next(events)), (b"/py/w", b"token"), "the first event")
    threading.Timer(0.05, other.write, (b"/py/w/x", b"1")).start()
    expect(tuple(next(events)), (b"/py/w/x", b"token"), "an event of another client")
    monitor.unwatch(b"/py/w", b"token")

    # many clients counting in transactions
    client.write(b"/py/n", b"0")

    def count():
        with pyxs.Client() as mine:
            for _ in range(20):
                done = False
                while not done:
                    mine.transaction()
                    mine.write(b"/py/n", str(int(mine.read(b"/py/n")) + 1).encode())
                    done = mine.commit()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(client.read(b"/py/n"), b"80", "no increment is lost")

print("pyxs: all passed")
