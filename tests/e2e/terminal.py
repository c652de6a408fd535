"""A program under a pseudo-terminal: what it writes is read until something is there, keys are sent as bytes."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

TIMEOUT = 120
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z~]|\x1b[=>()][B0]?")


class Terminal:
    def __init__(self, args, env, columns=80, rows=24):
        self.out = b""
        self.seen = 0  # bytes of it that wait_for has gone past
        self.master, slave = pty.openpty()
        self.size(columns, rows)
        self.process = subprocess.Popen(args, stdin=slave, stdout=slave, stderr=slave, env=env, close_fds=True,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def size(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        self.size(columns, rows)
        os.kill(self.process.pid, signal.SIGWINCH)

    def send(self, keys):
        data = keys if isinstance(keys, bytes) else keys.encode()
        while data:
            data = data[os.write(self.master, data[:512]):]
            self.read(0)

    def read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            got = os.read(self.master, 65536)
        except OSError:  # the program has ended
            got = b""
        self.out += got
        return got != b""

    def wait_for(self, pattern, what=None):
        """Waits until the pattern comes up behind what was waited for last; gives the match."""
        wanted = re.compile(pattern if isinstance(pattern, bytes) else pattern.encode())
        end = time.time() + TIMEOUT
        while time.time() < end:
            text = ESCAPES.sub(b"", self.out)
            match = wanted.search(text, self.seen)
            if match:
                self.seen = match.end()
                return match
            if not self.read(0.1) and self.process.poll() is not None and not self.read(0.1):
                break
        raise AssertionError("%s did not come up; the end of what did: %r" % (what or pattern, self.out[-1500:]))

    def prompt(self):
        """Waits for the prompt, and until keys reach the editor: it takes over the line a moment after the prompt."""
        self.wait_for("> ")
        end = time.time() + TIMEOUT
        while b"\x1b[?2004h" in self.out and time.time() < end:
            if not termios.tcgetattr(self.master)[3] & termios.ICANON:
                return
            time.sleep(0.01)

    def finish(self):
        """Waits for the program's end; its exit code."""
        end = time.time() + TIMEOUT
        while self.process.poll() is None and time.time() < end:
            self.read(0.1)
        while self.read(0):
            pass
        if self.process.poll() is None:
            self.process.kill()
            raise AssertionError("it did not end; what came up: %r" % self.out[-1500:])
        os.close(self.master)
        return self.process.returncode
