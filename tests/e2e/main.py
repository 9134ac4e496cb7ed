"""Runs each test by itself, one after the other, on one stack; says what was kept and measured."""

import importlib
import pathlib
import signal
import sys
import time
import traceback

import harness
import judge

FILES = (
    "test_setup", "test_media", "test_faults", "test_text", "test_access", "test_security", "test_frames",
    "test_api", "test_history", "test_thumbnails", "test_drill", "test_monitoring", "test_life",
)


def show(name, began, verdict, text):
    print(f"{verdict:6} {time.monotonic() - began:5.1f} s  {name}")
    for line in text.strip().splitlines():
        print(f"                {line}")


def collect(words):
    """The tests in their order, with their promises (the first line of their documentation)."""
    for file in FILES:
        module = importlib.import_module(file)
        for name, test in list(vars(module).items()):
            if name.startswith("test_") and callable(test):
                promise = test.__doc__.splitlines()[0]
                if not words or any(word in name or word in promise for word in words):
                    yield promise, test


def main():
    # Ends by an exception, so that everything is torn down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began, passed, failed = time.monotonic(), 0, 0
    stack = harness.Stack()
    stack.judge = judge.Judge()
    try:
        for promise, test in collect(sys.argv[1:]):
            start = time.monotonic()
            try:
                if getattr(test, "needs_stack", True):
                    ensure(stack)
                show(promise, start, "ok", "\n".join(test(stack) or ()))
                passed += 1
            except harness.Failed as error:
                show(promise, start, "FAILED", str(error))
                failed += 1
            except Exception:
                show(promise, start, "FAILED", traceback.format_exc())
                failed += 1
    finally:
        stack.close(keep=pathlib.Path(".scrim/log/e2e") if failed else None)
    took = f"{time.monotonic() - began:.0f} s"
    print(f"{took}; the logs are in .scrim/log/e2e/" if failed else took)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or not passed)


def ensure(stack):
    """Both servers run and nothing goes wrong on purpose."""
    stack.fault("")
    if not stack.livekit or not stack.livekit.running():
        stack.start_livekit()
    if not stack.scrim or not stack.scrim.running():
        stack.start_scrim()


if __name__ == "__main__":
    main()
