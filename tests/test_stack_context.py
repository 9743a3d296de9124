from __future__ import absolute_import, division, print_function

import contextlib
import functools
import gc
import sys
import threading
import traceback
import unittest

from friendserve import stack_context
from friendserve.stack_context import (
    ExceptionStackContext, NullContext, StackContext, StackContextInconsistentError,
    run_with_stack_context, wrap)
from tests import PATIENCE
from tests.loopcase import free_unreferenced, of_cpython


def fail():
    raise ValueError("from the callback")


def active():
    return stack_context.state.contexts


class Recorder(object):
    """Makes context managers that record when they are entered and exited, and with which error."""

    def __init__(self, handles=()):
        self.log = []
        self.handles = handles

    def factory(self, name):
        @contextlib.contextmanager
        def manager():
            self.log.append("enter " + name)
            try:
                yield
            except Exception as e:
                self.log.append("%s in %s" % (type(e).__name__, name))
                if name not in self.handles:
                    raise
            else:
                self.log.append("leave " + name)
        return manager

    def handler(self, name):
        def handle(type, value, tb):
            self.log.append("%s in %s" % (type.__name__, name))
            return name in self.handles
        return handle


class ContextTest(unittest.TestCase):
    def setUp(self):
        self.recorder = Recorder()
        self.log = self.recorder.log

    def tearDown(self):
        self.assertEqual(active(), ())

    def context(self, name):
        return StackContext(self.recorder.factory(name))

    def exception_context(self, name):
        return ExceptionStackContext(self.recorder.handler(name))


class WrapTest(ContextTest):
    def test_none(self):
        self.assertIsNone(wrap(None))

    def test_not_callable(self):
        self.assertRaises(TypeError, wrap, 5)

    def test_wrapped_once(self):
        with self.context("a"):
            once = wrap(fail)
        with self.context("b"):
            self.assertIs(wrap(once), once)

    def test_partial_of_the_user_is_wrapped(self):
        with self.exception_context("a"):
            wrapped = wrap(functools.partial(fail))
        self.assertRaises(ValueError, wrapped)
        self.assertEqual(self.log, ["ValueError in a"])

    def test_arguments_and_result(self):
        def callback(*args, **kwargs):
            return args, kwargs
        for context in (NullContext(), self.context("a")):
            with context:
                wrapped = wrap(callback)
            self.assertEqual(wrapped(1, fn=2, contexts=3, self=4),
                             ((1,), {"fn": 2, "contexts": 3, "self": 4}))

    def test_without_contexts_the_callers_do_not_count(self):
        # B158
        wrapped = wrap(active)
        with self.context("caller"):
            before = active()
            self.assertEqual(wrapped(), ())
            self.assertIs(active(), before)

    def test_exactly_the_captured_contexts(self):
        with self.context("a") as deactivate:
            captured = active()
            wrapped = wrap(active)
        self.assertEqual(wrapped(), captured)
        with self.context("b"):
            self.assertEqual(wrapped(), captured)
        deactivate()

    def test_nested_capture_does_not_grow(self):
        # B158: a chain of callbacks, each scheduled by the last, keeps the same tuple.
        with self.context("a"):
            captured = active()
            step = wrap(lambda: wrap(lambda: active()))
        for _ in range(100):
            self.assertIs(step()(), captured)

    def test_state_is_restored_after_an_exception(self):
        with self.context("a"):
            wrapped = wrap(fail)
        with self.context("b"):
            before = active()
            self.assertRaises(ValueError, wrapped)
            self.assertIs(active(), before)
        self.assertRaises(ValueError, wrapped)
        self.assertEqual(active(), ())


class StackContextTest(ContextTest):
    def test_entered_again_in_order(self):
        with self.context("a"):
            with self.context("b"):
                wrapped = wrap(lambda: self.log.append("run"))
        del self.log[:]
        for _ in range(2):
            wrapped()
            self.assertEqual(self.log, ["enter a", "enter b", "run", "leave b", "leave a"])
            del self.log[:]

    def test_entered_again_inside_itself(self):
        with self.context("a"):
            wrapped = wrap(lambda: self.log.append("run"))
            wrapped()
        self.assertEqual(self.log, ["enter a", "enter a", "run", "leave a", "leave a"])

    def test_exception_travels_outwards(self):
        with self.context("a"):
            with self.context("b"):
                wrapped = wrap(fail)
        del self.log[:]
        self.assertRaises(ValueError, wrapped)
        self.assertEqual(self.log, ["enter a", "enter b", "ValueError in b", "ValueError in a"])

    def test_exit_swallows(self):
        self.recorder.handles = ("b",)
        with self.context("a"):
            with self.context("b"):
                wrapped = wrap(fail)
        del self.log[:]
        self.assertIsNone(wrapped())
        self.assertEqual(self.log, ["enter a", "enter b", "ValueError in b", "leave a"])

    def test_with_body_is_guarded_too(self):
        self.recorder.handles = ("a",)
        with self.context("a"):
            fail()
        self.assertEqual(self.log, ["enter a", "ValueError in a"])

    def test_factory_that_raises_reaches_the_outer_contexts(self):
        broken = []

        def factory():
            if broken:
                raise KeyError("factory")
            return self.recorder.factory("b")()

        self.recorder.handles = ("a",)
        with self.exception_context("a"):
            with StackContext(factory):
                wrapped = wrap(lambda: self.log.append("run"))
        del self.log[:]
        broken.append(True)
        self.assertIsNone(wrapped())
        self.assertEqual(self.log, ["KeyError in a"])

    def test_factory_that_raises_in_the_with_statement(self):
        def factory():
            raise KeyError("factory")
        context = StackContext(factory)
        self.assertRaises(KeyError, context.__enter__)
        self.assertEqual(active(), ())

    def test_factory_and_exit_run_in_the_outer_contexts(self):
        seen = []

        @contextlib.contextmanager
        def factory():
            seen.append(active())
            yield
            seen.append(active())

        with self.context("a"):
            outer = active()
            with StackContext(factory):
                wrapped = wrap(lambda: seen.append("run"))
        self.assertEqual(seen, [outer, outer])
        del seen[:]
        wrapped()
        self.assertEqual(seen, [outer, "run", outer])

    def test_same_object_again_after_it_was_left(self):
        context = self.context("a")
        for _ in range(2):
            with context:
                self.assertEqual(active(), (context,))

    def test_same_object_inside_itself(self):
        for context in (self.context("a"), NullContext()):
            with context:
                before = active()
                self.assertRaises(StackContextInconsistentError, context.__enter__)
                self.assertIs(active(), before)


class InconsistentTest(ContextTest):
    def test_left_in_the_wrong_order(self):
        outer, inner = self.context("a"), self.context("b")
        outer.__enter__()
        inner.__enter__()
        with self.assertRaises(StackContextInconsistentError):
            outer.__exit__(None, None, None)
        self.assertEqual(self.log, ["enter a", "enter b", "leave a"])
        self.assertEqual(active(), ())

    def test_generator_that_yields_inside(self):
        def generator():
            with self.context("a"):
                yield

        g = generator()
        next(g)
        self.assertEqual(len(active()), 1)
        stack_context.state.contexts = ()
        with self.context("b"):
            before = active()
            with self.assertRaises(StackContextInconsistentError):
                next(g)
            # The contexts of the caller that resumed the generator are kept.
            self.assertIs(active(), before)


class ExceptionStackContextTest(ContextTest):
    def test_handler_gets_type_value_and_traceback(self):
        seen = []

        def handler(type, value, tb):
            seen.append((type, value.args, traceback.extract_tb(tb)[-1][2]))
            return True

        with ExceptionStackContext(handler, delay_warning=True):
            wrapped = wrap(fail)
        self.assertIsNone(wrapped())
        self.assertEqual(seen, [(ValueError, ("from the callback",), "fail")])

    def test_b150_each_failure_reaches_the_handler_that_was_active_when_scheduled(self):
        self.recorder.handles = ("first", "second")
        queue = []

        def start():
            queue.append(wrap(later))

        def later():
            queue.append(wrap(fail))

        with self.exception_context("first"):
            start()
        with self.exception_context("second"):
            start()
        while queue:
            queue.pop(0)()
        self.assertEqual(self.log, ["ValueError in first", "ValueError in second"])

    def test_b151_two_callbacks_of_one_context_fail(self):
        self.recorder.handles = ("a",)
        with self.exception_context("a"):
            one, two = wrap(fail), wrap(fail)
        one()
        two()
        self.assertEqual(self.log, ["ValueError in a"] * 2)

    def test_not_handled_goes_outwards_and_to_the_caller(self):
        with self.exception_context("a"):
            with self.exception_context("b"):
                wrapped = wrap(fail)
        with self.assertRaises(ValueError):
            wrapped()
        self.assertEqual(self.log, ["ValueError in b", "ValueError in a"])

    def test_handled_goes_no_further(self):
        self.recorder.handles = ("b",)
        with self.exception_context("a"):
            with self.exception_context("b"):
                wrapped = wrap(fail)
        wrapped()
        self.assertEqual(self.log, ["ValueError in b"])

    def test_exception_in_the_handler_replaces_the_first(self):
        def broken(type, value, tb):
            try:
                {}["something else"]
            except KeyError:
                pass
            raise IndexError("from the handler")

        with self.exception_context("a"):
            with ExceptionStackContext(broken):
                wrapped = wrap(fail)
        self.assertRaises(IndexError, wrapped)
        self.assertEqual(self.log, ["IndexError in a"])

    def test_original_is_raised_although_the_handler_caught_others(self):
        def busy(type, value, tb):
            try:
                {}["something else"]
            except KeyError:
                pass

        with ExceptionStackContext(busy):
            wrapped = wrap(fail)
        try:
            wrapped()
        except ValueError:
            names = [entry[2] for entry in traceback.extract_tb(sys.exc_info()[2])]
        self.assertEqual(names[-1], "fail")

    def test_handler_runs_in_the_outer_contexts(self):
        seen = []

        def handler(type, value, tb):
            seen.append(active())
            return True

        with self.exception_context("a"):
            outer = active()
            with ExceptionStackContext(handler):
                wrapped = wrap(fail)
                fail()
        wrapped()
        self.assertEqual(seen, [outer, outer])

    def test_what_the_handler_schedules_does_not_come_back_to_it(self):
        queue = []

        def handler(type, value, tb):
            self.log.append("handler")
            queue.append(wrap(fail))
            return True

        self.recorder.handles = ("a",)
        with self.exception_context("a"):
            with ExceptionStackContext(handler):
                queue.append(wrap(fail))
        while queue:
            queue.pop()()
        self.assertEqual(self.log, ["handler", "ValueError in a"])

    def test_interrupts_pass(self):
        self.recorder.handles = ("a",)
        for exception in (KeyboardInterrupt, SystemExit, GeneratorExit):
            def interrupt():
                raise exception()
            with self.exception_context("a"):
                wrapped = wrap(interrupt)
            self.assertRaises(exception, wrapped)
        self.assertEqual(self.log, [])

    def test_with_body_is_guarded_too(self):
        self.recorder.handles = ("a",)
        with self.exception_context("a"):
            fail()
        self.assertEqual(self.log, ["ValueError in a"])

    def test_mixed_nesting(self):
        with self.exception_context("a"):
            with self.context("b"):
                with self.exception_context("c"):
                    wrapped = wrap(fail)
        del self.log[:]
        self.assertRaises(ValueError, wrapped)
        self.assertEqual(self.log,
                         ["enter b", "ValueError in c", "ValueError in b", "ValueError in a"])


class DeactivateTest(ContextTest):
    def test_dropped_from_what_was_captured_before(self):
        with self.context("a"):
            with self.context("b") as deactivate:
                wrapped = wrap(active)
        deactivate()
        del self.log[:]
        self.assertEqual(len(wrapped()), 1)
        self.assertEqual(self.log, ["enter a", "leave a"])

    def test_dropped_from_what_is_captured_after(self):
        with self.context("a") as deactivate:
            deactivate()
            wrapped = wrap(lambda: self.log.append("run"))
        del self.log[:]
        wrapped()
        self.assertEqual(self.log, ["run"])

    def test_exception_handler_is_not_asked_any_more(self):
        with self.exception_context("a") as deactivate:
            wrapped = wrap(fail)
        deactivate()
        self.assertRaises(ValueError, wrapped)
        self.assertEqual(self.log, [])

    def test_running_call_keeps_it(self):
        self.recorder.handles = ("a",)
        holder = []

        def callback():
            holder[0]()
            fail()

        with self.exception_context("a") as deactivate:
            holder.append(deactivate)
            wrapped = wrap(callback)
        wrapped()
        self.assertEqual(self.log, ["ValueError in a"])

    def test_b158_chain_of_deactivated_contexts_stays_short(self):
        def step():
            with self.context("a") as deactivate:
                wrapped = wrap(step_and_count)
            deactivate()
            return wrapped

        def step_and_count():
            self.assertEqual(active(), ())
            return step()

        wrapped = step()
        for _ in range(100):
            wrapped = wrapped()


class NullContextTest(ContextTest):
    def test_nothing_captured_inside(self):
        # B158
        with self.context("a"):
            before = active()
            with NullContext():
                self.assertEqual(active(), ())
                wrapped = wrap(active)
            self.assertIs(active(), before)
            self.assertEqual(wrapped(), ())

    def test_restored_after_an_exception(self):
        with self.context("a"):
            before = active()
            with self.assertRaises(ValueError):
                with NullContext():
                    fail()
            self.assertIs(active(), before)

    def test_context_inside(self):
        with self.context("a"):
            with NullContext():
                with self.context("b"):
                    self.assertEqual(len(active()), 1)


class RunWithStackContextTest(ContextTest):
    def test_result_and_contexts(self):
        context = self.context("a")
        self.assertEqual(run_with_stack_context(context, active), (context,))

    def test_exception(self):
        self.recorder.handles = ("a",)
        self.assertIsNone(run_with_stack_context(self.exception_context("a"), fail))


class ThreadTest(ContextTest):
    def run_in_thread(self, function):
        results = []
        thread = threading.Thread(target=lambda: results.append(function()))
        thread.start()
        thread.join(PATIENCE)
        return results[0]

    def test_contexts_are_those_of_the_thread(self):
        with self.context("a"):
            self.assertEqual(self.run_in_thread(active), ())

    def test_wrapped_function_takes_them_along(self):
        self.recorder.handles = ("a",)
        with self.exception_context("a"):
            captured = active()
            seen = self.run_in_thread(wrap(active))
            self.assertIsNone(self.run_in_thread(wrap(fail)))
        self.assertEqual(seen, captured)
        self.assertEqual(self.log, ["ValueError in a"])

    def test_one_context_running_in_two_threads(self):
        inside, release = threading.Event(), threading.Event()

        def wait():
            inside.set()
            return release.wait(PATIENCE) and len(active())

        results = []
        with self.context("a"):
            blocked, quick = wrap(wait), wrap(active)
        thread = threading.Thread(target=lambda: results.append(blocked()))
        thread.start()
        self.assertTrue(inside.wait(PATIENCE))
        self.assertEqual(len(quick()), 1)
        release.set()
        thread.join(PATIENCE)
        self.assertEqual(results, [1])
        self.assertEqual(self.log, ["enter a", "leave a", "enter a", "enter a", "leave a",
                                    "leave a"])


class GarbageTest(ContextTest):
    def count_garbage(self, function):
        function()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                function()
            return gc.collect()
        finally:
            gc.enable()

    @of_cpython
    def test_b171_no_cycles(self):
        def handled(type, value, tb):
            return True

        def passed_on(type, value, tb):
            return False

        def replaced(type, value, tb):
            raise IndexError()

        def run():
            for handlers in ((handled, passed_on), (passed_on, passed_on), (handled, replaced)):
                with ExceptionStackContext(handlers[0]):
                    with StackContext(self.recorder.factory("b")):
                        with ExceptionStackContext(handlers[1]) as deactivate:
                            wrapped = wrap(fail)
                try:
                    wrapped()
                except ValueError:
                    pass
                deactivate()

        self.assertEqual(self.count_garbage(run), 0)

    def test_b171_frames_are_released(self):
        released = []

        class Watched(object):
            def __del__(self):
                released.append(True)

        def callback(watched):
            fail()

        with ExceptionStackContext(lambda type, value, tb: True):
            wrapped = wrap(callback)
        gc.disable()
        try:
            wrapped(Watched())
            free_unreferenced()
        finally:
            gc.enable()
        self.assertEqual(released, [True])


if __name__ == "__main__":
    unittest.main()
