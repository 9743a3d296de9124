"""Copies of a process that serve together: fork_processes, task_id, cpu_count, start(n)."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest

from friendserve import process
from tests import PATIENCE, ROOT


class ForkProcessesTest(unittest.TestCase):
    """Each program writes to stdout from its children, and its log to stderr."""

    def start(self, text):
        head = """
            from __future__ import print_function
            import os, random, signal, sys, time
            from friendserve import process
            from friendserve.ioloop import IOLoop
            from friendserve.log import enable_pretty_logging
            enable_pretty_logging()
            signal.alarm(60)
            def say(*words):
                os.write(1, (" ".join(map(str, words)) + "\\n").encode("ascii"))
        """
        program = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(text)], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        guard = threading.Timer(4 * PATIENCE, program.kill)
        guard.start()
        self.addCleanup(guard.cancel)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.stderr.close)
        return program

    def end(self, program):
        """(return code, lines of stdout, text of stderr)"""
        out, err = program.communicate()
        return program.returncode, out.decode("ascii").splitlines(), err.decode("utf-8")

    def lines(self, program, count):
        return [program.stdout.readline().decode("ascii").split() for _ in range(count)]

    def test_b046_a_killed_child_is_replaced_under_its_number(self):
        program = self.start("""
            number = process.fork_processes(3, max_restarts=3)
            say(number, process.task_id(), os.getpid())
            time.sleep(60)
        """)
        first = dict((line[0], line) for line in self.lines(program, 3))
        self.assertEqual(["0", "1", "2"], sorted(first))
        os.kill(int(first["1"][2]), signal.SIGKILL)
        second, = self.lines(program, 1)
        self.assertEqual(["1", "1"], second[:2])
        self.assertNotEqual(first["1"][2], second[2])
        program.terminate()
        status, rest, log = self.end(program)
        self.assertEqual((-signal.SIGTERM, []), (status, rest))
        self.assertIn("by signal 9", log)

    def test_b046_all_ended_with_0_ends_the_parent(self):
        status, lines, _ = self.end(self.start("""
            say(process.fork_processes(2))
        """))
        self.assertEqual((0, ["0", "1"]), (status, sorted(lines)))

    def test_b046_a_crash_loop_slows_down_says_so_and_ends(self):
        status, lines, log = self.end(self.start("""
            process.RESTART_PAUSES = 0.001, 0.004
            number = process.fork_processes(1, max_restarts=4)
            say(number)
            os._exit(3)
        """))
        self.assertEqual((1, ["0"] * 5), (status, lines))
        self.assertEqual(["0.001 s", "0.002 s", "0.004 s", "0.004 s"],
                         [line.rpartition(" in ")[2] for line in log.splitlines()
                          if "with status 3 right after its start" in line])
        self.assertIn("RuntimeError: child 0", log)
        self.assertIn("no restarts are left", log)

    def test_b046_a_loop_before_the_fork_is_an_error_that_tells_where(self):
        status, lines, log = self.end(self.start("""
            loop = IOLoop()
            process.fork_processes(2)
            say("forked")
        """))
        self.assertEqual((1, []), (status, lines))
        self.assertIn("RuntimeError: a loop was made at <string>:", log)

    def test_b047_random_numbers_differ(self):
        program = self.start("""
            random.seed(1)
            process.fork_processes(3)
            say(random.getrandbits(64))
        """)
        self.assertEqual(3, len(set(self.end(program)[1])))

    def test_b047_no_number_in_the_parent(self):
        self.assertIsNone(process.task_id())

    def test_b048_sigterm_stops_the_children(self):
        program = self.start("""
            number = process.fork_processes(2)
            signal.signal(signal.SIGTERM, lambda *args: (say("told", number), sys.exit(0)))
            say("ready", number)
            while True:
                signal.pause()
        """)
        self.lines(program, 2)
        program.terminate()
        status, lines, _ = self.end(program)
        self.assertEqual((-signal.SIGTERM, ["told 0", "told 1"]), (status, sorted(lines)))

    def test_b048_the_second_sigterm_kills(self):
        program = self.start("""
            process.fork_processes(1)
            signal.signal(signal.SIGTERM, lambda *args: say("told"))
            say("ready")
            while True:
                signal.pause()
        """)
        self.lines(program, 1)
        program.terminate()
        self.assertEqual([["told"]], self.lines(program, 1))
        program.terminate()
        self.assertEqual((-signal.SIGTERM, []), self.end(program)[:2])

    def test_b048_ctrl_c_in_the_parent_stops_the_children(self):
        program = self.start("""
            process.fork_processes(2)
            signal.signal(signal.SIGTERM, lambda *args: (say("told"), sys.exit(0)))
            say("ready")
            while True:
                signal.pause()
        """)
        self.lines(program, 2)
        program.send_signal(signal.SIGINT)
        _, lines, log = self.end(program)
        self.assertEqual(["told", "told"], lines)
        self.assertIn("KeyboardInterrupt", log)

    def test_b049_other_children_are_left_to_those_that_started_them(self):
        status, lines, _ = self.end(self.start("""
            other = os.fork()
            if not other:
                os._exit(7)
            try:
                process.fork_processes(1)
                say("child")
                os._exit(0)
            except SystemExit:
                say(os.WEXITSTATUS(os.waitpid(other, 0)[1]))
        """))
        self.assertEqual(["child", "7"], lines)

    def test_b350_a_server_in_several_processes(self):
        program = self.start("""
            from friendserve.tcpserver import TCPServer
            class Server(TCPServer):
                def handle_stream(self, stream, address):
                    stream.write(str(process.task_id()).encode("ascii"), stream.close)
            server = Server()
            server.bind(0, "127.0.0.1")
            port = server._waiting[0].getsockname()[1]
            server.start(2)
            say(port)
            IOLoop.current().start()
        """)
        ports = [int(port) for port, in self.lines(program, 2)]
        self.assertEqual(1, len(set(ports)))
        seen = set()
        for _ in range(200):
            connection = socket.create_connection(("127.0.0.1", ports[0]), PATIENCE)
            seen.add(connection.recv(10))
            connection.close()
        self.assertTrue(seen and seen <= {b"0", b"1"}, seen)
        program.terminate()
        self.assertEqual(-signal.SIGTERM, self.end(program)[0])

    def test_b050_of_those_that_wait_each_process_accepts_a_few_per_turn(self):
        program = self.start("""
            import socket
            from friendserve.tcpserver import TCPServer
            class Server(TCPServer):
                count = 0
                def handle_stream(self, stream, address):
                    self.count += 1
                    if self.count == 1:
                        self.io_loop.add_callback(lambda: say(self.count))
            server = Server()
            server.bind(0, "127.0.0.1")
            address = server._waiting[0].getsockname()
            clients = [socket.create_connection(address) for _ in range(40)]
            server.start(2)
            IOLoop.current().start()
        """)
        # The other one may find none left.
        (count,), = self.lines(program, 1)
        self.assertLessEqual(int(count), 4)
        program.terminate()
        self.assertEqual(-signal.SIGTERM, self.end(program)[0])


class CpuCountTest(unittest.TestCase):
    def quota(self, files):
        root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, root)
        for name, text in files.items():
            path = os.path.join(root, name)
            if not os.path.isdir(os.path.dirname(path)):
                os.makedirs(os.path.dirname(path))
            with open(path, "w") as target:
                target.write(text)
        return process._cgroup_quota(root)

    def test_b351_affinity(self):
        count = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
        if not hasattr(os, "sched_setaffinity"):  # version: py2
            count = ("import subprocess; subprocess.call(['taskset', '-p', '1', str(os.getpid())], "
                     "stdout=open(os.devnull, 'w'))")
        out = subprocess.check_output(
            [sys.executable, "-c", "import os; " + count
             + "; from friendserve.process import cpu_count; print(cpu_count())"], cwd=ROOT)
        self.assertEqual(b"1", out.strip())

    def test_b351_control_groups_of_version_2(self):
        self.assertEqual(1.5, self.quota({
            "proc/self/cgroup": "0::/service/inner\n",
            "sys/fs/cgroup/cpu.max": "max 100000\n",
            "sys/fs/cgroup/service/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/service/inner/cpu.max": "300000 100000\n"}))

    def test_b351_control_groups_of_version_1_in_a_container(self):
        self.assertEqual(0.5, self.quota({
            "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}))

    def test_b351_no_limit(self):
        self.assertIsNone(self.quota({}))
        self.assertIsNone(self.quota({
            "proc/self/cgroup": "3:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}))
