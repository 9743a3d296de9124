"""The master: it owns the listening sockets, and keeps a worker in each of its slots.

Nothing is lost when workers are replaced, thanks to this order: a successor starts, loads the
application and says that it is ready; only then is its predecessor told to drain. Reloading,
recycling and the upgrade of the program all take this path, one worker at a time. If a successor
does not get ready, the predecessor stays, and the reason goes to the log, to systemd and to the
operator who asked.

Signals: TERM and INT drain the workers and end, a second INT at once; QUIT ends at once; HUP
reloads; TTIN adds a worker, TTOU removes one; USR1 reopens the logs; USR2 starts a new master that
has the same sockets, after which WINCH drains the workers of this one, HUP starts them again, and
TERM ends it.

The master forks between two runs of its loop, never in a callback, so that no frame of the loop is
on the stack of a worker.
"""
from __future__ import absolute_import, division, print_function

import errno
import gc
import os
import signal
import socket
import sys

from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.log import app_log
from friendserve.platform.pollers.auto import set_close_exec
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.process import RESTART_PAUSES, cpu_count
from friendserve.serve.pidfile import PidFile
from friendserve.serve.scoreboard import DRAINING, PLACES, READY, STARTING, Scoreboard
from friendserve.serve.sockets import SocketsError
from friendserve.serve.successor import Predecessor, Successor
from friendserve.serve.systemd import Notifier
from friendserve.serve.worker import (
    CANNOT_LOAD, SAYS_DRAINS, SAYS_READY, SAYS_RECYCLE, SAYS_STOP,
    block_signals, log_load_error, run_worker)

#: Exit statuses besides 0.
CANNOT_START, DIED_TOO_FAST = 3, 4

#: Seconds after which a loop that does not turn is named in the log, with its stack.
STALL_WARNING = 5.0

#: Seconds that a worker gets after its grace time, before it is killed.
KILL_AFTER = 5.0

#: The fewest seconds for which a worker that uses too much memory serves.
RECYCLE_PAUSE = 5.0

#: A worker that dies within this many seconds of its start has died too fast.
QUICK_DEATH = 2.0


class _Worker(object):
    """A worker, as the master sees it."""
    def __init__(self, pid, place, channel, epoch):
        self.pid = pid
        self.place = place
        self.slot = place.slot
        self.channel = channel
        self.epoch = epoch          # the reload that it belongs to
        self.started = monotonic_time()
        self.state = STARTING
        self.deadline = None        # when to kill it
        self.warned = None          # the beat after which a warning named it
        self.has_old_logs = False   # whether logs were rotated while it started

    def kill(self, signum):
        # It has not been waited for, so no other process can have its number.
        os.kill(self.pid, signum)


class Master(object):
    """Runs a service; `run` is all that a program needs.

    `settings` has the options of the command as attributes. `make_server(settings)` makes an
    HTTPServer in a worker. `reread(settings)` returns new settings for a reload, or raises an
    exception whose text says why there are none. `preload(settings)` is called before the first
    fork if `settings.preload`. `reopen()` reopens the logs of a process. `operators` is an
    `Operators`. `folder` is where the program was started, from which a successor starts too.
    """
    def __init__(self, settings, listeners, make_server, reread=None, preload=None, reopen=None,
                 operators=None, folder=None, environ=os.environ):
        self.settings = settings
        self.listeners = listeners
        self._make_server = make_server
        self._reread = reread
        self._preload = preload
        self._reopen = reopen
        self._operators = operators
        self._environ = environ
        self._notifier = Notifier(environ)
        self._predecessor = Predecessor(environ)
        self._folder = os.getcwd() if folder is None else folder
        self._pid = os.getpid()
        self._pid_file = PidFile(settings.pidfile)
        self.target = settings.processes or cpu_count()
        self.board = Scoreboard(max(2 * self.target, self.target + 32))
        self.workers = {}           # pid -> _Worker
        self._loop = None
        self._generation = 0
        self._epoch = 0             # counts reloads
        self._reloading = None      # the callbacks of the reload in progress
        self._recycle = {}          # slot whose worker wants a successor -> when it may start
        self._not_before = {}       # slot -> when its next worker may start
        self._quick_deaths = 0
        self._was_ready = False
        self._exit_status = None    # set when the service begins to stop
        self._upgrade = None        # the Successor
        self._replacing = None      # the callbacks of the reload that it was started for
        self._retired = False       # whether WINCH has sent the workers away
        self._ticked = self._resumed = monotonic_time()

    def run(self):
        """Serve until told to stop, and return the exit status; in workers too."""
        try:
            self._pid_file.write(self._predecessor.is_alive())
        except EnvironmentError as error:
            app_log.error("The file %s cannot be written: %s", self._pid_file.path, error.strerror)
            self.listeners.close(remove=self._is_last())
            return CANNOT_START
        try:
            if self.settings.preload and self._preload is not None:
                try:
                    self._preload(self.settings)
                except (SystemExit, Exception) as error:
                    log_load_error(error)
                    self.listeners.close(remove=self._is_last())
                    return CANNOT_START
            if hasattr(gc, "freeze"):
                # So that garbage collections in the workers do not copy memory that they share.
                gc.freeze()
            self._begin()
            while not (self._exit_status is not None and not self.workers):
                slot = self._next_slot()
                if slot is None:
                    self._loop.start()
                    continue
                sockets = self._sockets_of(slot)
                if sockets is None:
                    continue
                place, channel = self._fork(slot)
                if place is not None:
                    self.listeners.keep_only(sockets)
                    rivals = [rival for number in range(self.target)
                              for rival in self.board.places(number)]
                    return run_worker(
                        self.settings, self._make_server, sockets, place, channel, self._reopen,
                        () if self.settings.reuse_port else rivals)
            self._loop.close()
            self.listeners.close(remove=self._is_last())
            return self._exit_status
        finally:
            if os.getpid() == self._pid:
                self._pid_file.remove()

    # What operators can ask for; called on the loop

    def stop(self, status=0):
        """Drain all workers, then end with this status."""
        if self._exit_status is None:
            self._exit_status = status
            self._notifier.stopping(self.settings.graceful_timeout + KILL_AFTER)
            app_log.info("Stopping")
            if self._is_last():
                self.listeners.refuse()
        for worker in list(self.workers.values()):
            self._drain(worker)
        # The workers accept what waits there, and when they have closed theirs, the port is free.
        self.listeners.stop(remove=self._is_last())
        self._loop.stop()

    def reload(self, callback=None):
        """Replace all workers, one by one, with settings that are read again. `callback(error)` is
        called once, with None or a text that says why the old ones stay."""
        if self._exit_status is not None:
            return callback and callback("the service is stopping")
        self._notifier.reloading()
        if self.settings.preload and not self._retired:
            # What is loaded here cannot be unloaded.
            return self._start_upgrade(reloading=[callback])
        self._reloading = (self._reloading or []) + [callback]
        self._retired = False
        try:
            if self._reread is not None:
                settings = self._reread(self.settings)
                self.listeners.change(settings.bind)
                if settings.processes != self.settings.processes:
                    self.target = self._limited(settings.processes or cpu_count())
                self.settings = settings
        except Exception as error:
            return self._end_reload("the new configuration is not used: %s" % error)
        if self._reopen is not None:
            self._reopen()
        app_log.info("Reloading")
        self._epoch += 1
        self._loop.stop()

    def add(self):
        """Add a worker."""
        self.target = self._limited(self.target + 1)
        app_log.info("%d workers from now on", self.target)
        self._loop.stop()

    def remove(self):
        """Remove a worker, unless it is the only one."""
        self.target = max(1, self.target - 1)
        app_log.info("%d workers from now on", self.target)
        self._loop.stop()

    def stacks(self):
        """Have the workers write their stacks to their logs."""
        for worker in self.workers.values():
            # The signal would end one that has no handler for it yet.
            if worker.place.pid:
                worker.kill(signal.SIGUSR2)

    def reopen_logs(self):
        if self._reopen is not None:
            self._reopen()
        for worker in self.workers.values():
            # One that starts may not have its handlers yet.
            if worker.state == STARTING:
                worker.has_old_logs = True
            else:
                worker.kill(signal.SIGUSR1)

    # Setting up

    def _begin(self):
        self._loop = loop = IOLoop(make_current=True)
        for name, callback in (
                ("TERM", self.stop), ("INT", self._on_interrupt), ("QUIT", self._on_quit),
                ("HUP", self.reload), ("TTIN", self.add), ("TTOU", self.remove),
                ("USR1", self.reopen_logs), ("USR2", self._start_upgrade),
                ("WINCH", self._on_winch), ("CHLD", self._reap)):
            loop.add_signal_handler(getattr(signal, "SIG" + name), callback)
        interval = min(1.0, (self._notifier.watchdog or 2.0) / 2)
        PeriodicCallback(self._tick, 1000 * interval, loop).start()
        app_log.info("Master %d listens on %s", self._pid, ", ".join(self.listeners.names()))
        if self._operators is not None:
            self._operators.start(self, loop)
            if not self._predecessor.waits():
                self._operators.accept()

    def _limited(self, count):
        if count > self.board.slots:
            app_log.error("This master has room for %d workers, not %d: restart it for more",
                          self.board.slots, count)
        return min(count, self.board.slots)

    # Starting workers

    def _sockets_of(self, slot):
        """The listening sockets of a slot, which are made here, as they outlive its worker; None if
        that is not possible now."""
        try:
            return self.listeners.of_slot(slot)
        except SocketsError as error:
            app_log.error("No worker starts in slot %d: %s", slot, error)
            self._not_before[slot] = monotonic_time() + RESTART_PAUSES[1]
            return None

    def _live(self, slot):
        """The workers of a slot that have not been told to drain, the oldest first."""
        return sorted((worker for worker in self.workers.values()
                       if worker.slot == slot and worker.state != DRAINING),
                      key=lambda worker: worker.place.generation)

    def _next_slot(self):
        """The slot in which to start a worker now; None if there is nothing to do."""
        if self._exit_status is not None or self._retired:
            return None
        for worker in list(self.workers.values()):
            if worker.slot >= self.target:
                self._drain(worker)
        self.listeners.limit(self.target)
        now = monotonic_time()
        for slot in range(self.target):
            if not self._live(slot) and now >= self._not_before.get(slot, 0) \
                    and self._has_place(slot):
                return slot
        if any(worker.state == STARTING for worker in self.workers.values()):
            return None
        outdated = [slot for slot in range(self.target)
                    if any(worker.epoch < self._epoch for worker in self._live(slot))]
        if self._reloading and not outdated:
            self._end_reload(None)
        for slot in outdated + sorted(self._recycle):
            if slot < self.target and self._has_place(slot) and (
                    slot in outdated or now >= max(self._recycle[slot],
                                                   self._not_before.get(slot, 0))):
                return slot
        return None

    def _has_place(self, slot):
        return len([1 for worker in self.workers.values() if worker.slot == slot]) < PLACES

    def _fork(self, slot):
        """(place, channel) in the worker, (None, None) in the master."""
        place = self.board.begin(slot, self._generation)
        self._generation += 1
        ours, theirs = socket.socketpair()
        for end in ours, theirs:
            set_close_exec(end.fileno())
            end.setblocking(False)
        sys.stdout.flush()
        sys.stderr.flush()
        block_signals()
        pid = os.fork()
        if not pid:
            ours.close()
            self._predecessor.close()
            for worker in self.workers.values():
                worker.channel.close()
            self._loop.close()
            IOLoop.clear_current()
            return place, theirs
        block_signals("SIG_UNBLOCK")
        theirs.close()
        worker = self.workers[pid] = _Worker(pid, place, ours, self._epoch)
        self._loop.add_handler(ours, lambda *args: self._on_channel(worker), IOLoop.READ)
        app_log.info("Worker %d starts in slot %d", pid, slot)
        return None, None

    def _on_channel(self, worker):
        try:
            said = worker.channel.recv(1000)
        except EnvironmentError as error:
            if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR):
                return
            said = b""
        if not said:
            # The worker is ending; SIGCHLD says how.
            self._loop.remove_handler(worker.channel)
        for line in said.splitlines():
            if line == SAYS_READY:
                self._on_ready(worker)
            elif line == SAYS_DRAINS and worker.state == READY:
                app_log.info("Worker %d was told to drain; its successor starts", worker.pid)
                self._set_draining(worker)
            elif line.startswith(SAYS_RECYCLE) and worker.slot not in self._recycle:
                self._on_recycle(worker, line.split()[-1].decode("ascii"))
        self._loop.stop()

    def _on_recycle(self, worker, reason):
        now = monotonic_time()
        if reason == "memory" and now - worker.started < RECYCLE_PAUSE:
            app_log.warning("Worker %d uses more than max_memory right after its start: the limit "
                            "is too low", worker.pid)
        app_log.info("Worker %d is recycled: %s", worker.pid, reason)
        self._recycle[worker.slot] = worker.started + RECYCLE_PAUSE if reason == "memory" else now

    def _on_ready(self, worker):
        if worker.state != STARTING:
            return
        worker.state = READY
        if worker.has_old_logs:
            worker.kill(signal.SIGUSR1)
        for other in self._live(worker.slot):
            if other is not worker:
                self._drain(other)
        self._recycle.pop(worker.slot, None)
        app_log.info("Worker %d is ready in slot %d", worker.pid, worker.slot)
        if not self._was_ready and all(any(found.state == READY for found in self._live(slot))
                                       for slot in range(self.target)):
            self._was_ready = True
            self._notifier.ready(self._status())
            if self._predecessor.waits():
                self._predecessor.tell_ready()
                if self._operators is not None:
                    self._operators.accept()

    def _status(self):
        return "%d workers" % self.target

    def _end_reload(self, error):
        """Say that the reload in progress has succeeded, or why not."""
        callbacks, self._reloading = self._reloading, None
        self._say_reloaded(error, callbacks)

    def _say_reloaded(self, error, callbacks):
        if error is None:
            app_log.info("Reloaded")
        else:
            app_log.error("Not reloaded: %s", error)
            # The old workers stay.
            for worker in self.workers.values():
                worker.epoch = self._epoch
        if self._upgrade is None or not self._upgrade.is_ready:
            self._notifier.ready(self._status() if error is None else "Not reloaded: " + error)
        for callback in callbacks or ():
            if callback is not None:
                self._loop.add_callback(callback, error)

    # Ending workers

    def _drain(self, worker):
        if self._upgrade is None if self._exit_status is not None \
                else self.settings.reuse_port and worker.slot >= self.target:
            # No other process accepts from its sockets.
            try:
                worker.channel.send(SAYS_STOP + b"\n")
            except EnvironmentError:
                pass
        if worker.state == DRAINING:
            return
        # A worker that is starting has accepted nothing yet. Its place tells more than
        # `worker.state`: its messages may not have arrived.
        worker.kill(signal.SIGKILL if worker.place.state == STARTING else signal.SIGTERM)
        self._set_draining(worker)

    def _set_draining(self, worker):
        worker.state = DRAINING
        worker.deadline = monotonic_time() + self.settings.graceful_timeout + KILL_AFTER

    def _on_interrupt(self):
        if self._exit_status is None:
            return self.stop()
        self._on_quit()

    def _on_quit(self):
        self.stop()
        for worker in self.workers.values():
            worker.kill(signal.SIGQUIT)
            worker.deadline = monotonic_time() + 1

    def _reap(self):
        known = list(self.workers)
        if self._upgrade is not None:
            known.append(self._upgrade.pid)
        # As the first process of a container, the master is the parent of orphans; otherwise it
        # only waits for children that it started.
        for pid in ([-1] * 1000 if self._pid == 1 else known):
            try:
                found, status = os.waitpid(pid, os.WNOHANG)
            except EnvironmentError as error:
                if error.errno == errno.ECHILD and pid == -1:
                    break
                if error.errno != errno.ECHILD:
                    continue
                found, status = pid, 0
            if found in self.workers:
                self._on_end(self.workers.pop(found), status)
            elif self._upgrade is not None and found == self._upgrade.pid:
                self._on_upgrade_end(status)
            elif pid == -1 and not found:
                break
        self._loop.stop()

    def _on_end(self, worker, status):
        try:
            self._loop.remove_handler(worker.channel)
        except KeyError:
            pass
        worker.channel.close()
        self.board.end(worker.place)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        if worker.state == DRAINING or self._exit_status is not None:
            app_log.info("Worker %d has ended", worker.pid)
            return
        reason = "worker %d ended by signal %d" % (worker.pid, -code) if code < 0 \
            else "worker %d ended with status %d" % (worker.pid, code)
        others = self._live(worker.slot)
        if worker.state == STARTING and others:
            app_log.error("Slot %d keeps its worker: %s before it was ready", worker.slot, reason)
            self._not_before[worker.slot] = monotonic_time() + RESTART_PAUSES[1]
            if self._reloading:
                self._end_reload("%s before it was ready" % reason)
        elif code == CANNOT_LOAD and not any(found.state == READY
                                             for found in self.workers.values()):
            self.stop(CANNOT_START)
        else:
            self._replace_dead(worker, reason)

    def _replace_dead(self, worker, reason):
        now = monotonic_time()
        if worker.state == READY and now - worker.started > QUICK_DEATH:
            self._quick_deaths = 0
            app_log.error("%s; it is replaced", reason.capitalize())
            return
        self._quick_deaths += 1
        if self._quick_deaths > 3 + 2 * self.target:
            app_log.critical("%s; %d workers in a row have died right after their start: giving up",
                             reason.capitalize(), self._quick_deaths)
            return self.stop(DIED_TOO_FAST)
        pause = min(RESTART_PAUSES[0] * 2 ** (self._quick_deaths - 1), RESTART_PAUSES[1])
        app_log.error("%s, right after its start; the next one starts in %g s",
                      reason.capitalize(), pause)
        self._not_before[worker.slot] = now + pause
        self._loop.call_later(pause, self._loop.stop)

    # Watching

    def _tick(self):
        now = monotonic_time()
        if now - self._ticked > STALL_WARNING / 2:
            # This process itself was stopped, and perhaps the workers with it.
            self._resumed = now
        self._ticked = now
        ages = [self._check(worker, now) for worker in list(self.workers.values())]
        if self._notifier.watchdog and (not ages or min(ages) < STALL_WARNING):
            self._notifier.alive()
        if self._exit_status is not None:
            self._notifier.extend(KILL_AFTER)
        self._reap()

    def _check(self, worker, now):
        """Name and kill a worker that does not get ready or stalls. Returns the seconds for which
        its loop has not turned."""
        settings = self.settings
        beaten = worker.started if worker.state == STARTING else worker.place.beaten
        age = now - max(beaten, self._resumed)
        if worker.deadline is not None:
            if now > worker.deadline:
                app_log.error("Worker %d is killed: it has not ended in time", worker.pid)
                worker.kill(signal.SIGKILL)
        elif worker.state == STARTING:
            if settings.start_timeout and age > settings.start_timeout:
                app_log.error("Worker %d is killed: it was not ready within %g s; its stack "
                              "follows", worker.pid, settings.start_timeout)
                self._kill_with_stack(worker, now)
        elif settings.stall_timeout and age > settings.stall_timeout:
            app_log.error("Worker %d is killed: its loop has not turned for %g s; its stack "
                          "follows", worker.pid, settings.stall_timeout)
            self._kill_with_stack(worker, now)
        elif settings.stall_timeout and age > STALL_WARNING and worker.warned != beaten:
            worker.warned = beaten
            app_log.warning("Worker %d: its loop has not turned for %d s; its stack follows, "
                            "unless it was stopped", worker.pid, age)
            worker.kill(signal.SIGUSR2)
        return age

    def _kill_with_stack(self, worker, now):
        worker.kill(signal.SIGUSR2)
        worker.deadline = now

    # Another program in place of this one

    def _start_upgrade(self, reloading=None):
        """Start a new master. For a reload, whose callbacks `reloading` are, this one ends when the
        new one is ready."""
        error = None
        if self._pid == 1:
            error = "the first process of a container cannot be replaced: start the container again"
        elif self._upgrade is not None:
            error = "process %d is already the new master" % self._upgrade.pid
        else:
            try:
                self._upgrade = Successor(
                    self.listeners, self._environ, self._folder, self._loop,
                    self._on_upgrade_ready)
                self._replacing = reloading
                app_log.info("Process %d is the new master", self._upgrade.pid)
            except EnvironmentError as reason:
                error = "a new master cannot be started: %s" % reason
        if error is not None and reloading:
            self._say_reloaded(error, reloading)
        elif error is not None:
            app_log.error("No new master: %s", error)

    def _on_upgrade_ready(self):
        app_log.info("The new master, process %d, is ready", self._upgrade.pid)
        if self._operators is not None:
            self._operators.leave()
        if self._replacing:
            self._say_reloaded(None, self._replacing)
            self._replacing = None
            # In the next turn, when the operators have their answer.
            self._loop.add_callback(self.stop)

    def _on_upgrade_end(self, status):
        upgrade, self._upgrade = self._upgrade, None
        error = "the new master, process %d, has ended with status %d" % (upgrade.pid, status >> 8)
        upgrade.close(status >> 8)
        self._retired = False
        self._pid_file.take_back()
        if upgrade.is_ready and self._operators is not None:
            self._operators.accept()
        if self._replacing:
            self._say_reloaded(error, self._replacing)
            self._replacing = None
        else:
            app_log.error("This master stays: %s", error)

    def _is_last(self):
        """Whether no other master has the sockets."""
        return self._upgrade is None and not self._predecessor.is_alive()

    def _on_winch(self):
        # A terminal sends it too, when its size changes.
        if self._upgrade is None:
            return
        app_log.info("The workers of this master drain; HUP starts new ones")
        self._retired = True
        for worker in list(self.workers.values()):
            self._drain(worker)
