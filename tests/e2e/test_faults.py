"""What viewers get when something goes wrong: more covered, never less; and it comes back."""

import signal
import time

import harness
from harness import check, wait
from test_media import no_leaks

# The promise is 5 s; the rest is for machines that do much else, and for the SDK's own pauses.
BACK = 12.0


def returned(received, cause_over, what):
    """A line about how soon numbered pictures came again after the cause was over."""
    took = received.back_after(cause_over)
    check(took is not None, f"{what}: nothing came back")
    check(took < BACK, f"{what}: back only after {took:.1f} s")
    return f"{what}: back {max(0, took):.2f} s after it was over"


def covered(received, since, until):
    """How many pictures of that time were covered whole, of how many."""
    rows = [row for row in received.rows if since <= row.at < until]
    return f"{sum(row.index is None for row in rows)} of {len(rows)} pictures covered whole meanwhile"


def detector(stack, text, lasting, after):
    """One fault of the detector in mid-stream."""
    with stack.stage("face") as stream:
        time.sleep(2.5)
        began = stack.strike(text)
        time.sleep(lasting)
        stack.fault("")
        over = began + max(lasting, after)
        time.sleep(max(0, over - time.monotonic()) + 4)
        wait("the detector is well again", BACK, lambda: detectors_up(stack))
        time.sleep(1)
        whole = stack.live(stream.room)["statistics"]["frames"]["coveredUnverified"]
        received = stream.viewer.received()
        lines = [no_leaks(stack, received), covered(received, began + 0.5, over)]
        lines.append(returned(received, over, text))
        check(whole, f"{text}: nothing was covered")
    return lines


def detectors_up(stack):
    _, health = stack.call("GET", "/health")
    return all(one["state"] == "up" for one in health["detectors"])


def test_detector_stalls(stack):
    """A detector that stalls for 4 s covers, and comes back"""
    return detector(stack, "stall 4", 0.3, 4)


def test_detector_fails(stack):
    """A detector that fails covers, and comes back"""
    return detector(stack, "fail", 2, 2)


def test_detector_panics(stack):
    """A detector that panics covers, and comes back"""
    return detector(stack, "panic", 2, 2)


def test_livekit_restarts(stack):
    """LiveKit killed and started again in mid-stream: the stream comes back by itself"""
    with stack.stage("face") as stream:
        time.sleep(2.5)
        stack.livekit.end(signal.SIGKILL)
        time.sleep(1)
        stack.start_livekit()
        over = time.monotonic()
        _, took = wait("the stream is live again", 20, lambda: live(stack, stream.room))
        time.sleep(max(4, 8 - took))
        received = stream.viewer.received()
        lines = [no_leaks(stack, received), f"server: live again {took:.2f} s after LiveKit was"]
        try:
            lines.append(returned(received, over, "viewer"))
        except harness.Failed as error:
            raise harness.Failed(f"{error}\n" + "\n".join(lines) + f"\n{stack.live(stream.room)}") from None
    return lines


def test_broadcaster_silent(stack):
    """A broadcaster cut off for 5 s: nothing raw meanwhile, and back by itself"""
    with stack.stage("face") as stream:
        time.sleep(2.5)
        stream.broadcaster.signal(signal.SIGSTOP)
        time.sleep(5)
        over = time.monotonic()
        stream.broadcaster.signal(signal.SIGCONT)
        time.sleep(5)
        received = stream.viewer.received()
        return [no_leaks(stack, received), returned(received, over, "cut off")]


def test_broadcaster_returns(stack):
    """A broadcaster who mutes, leaves and comes back: the viewers see the stream again"""
    with stack.stage("face") as stream:
        time.sleep(2.5)
        stream.broadcaster.ask("mute")
        time.sleep(1.5)
        unmuted = stream.broadcaster.ask("unmute")["at"]
        time.sleep(3)
        stream.broadcaster.ask("leave")
        time.sleep(2)
        joined = time.monotonic()
        stream.broadcaster.ask("join", url=stack.url, token=stream.token, film="face", codec="h264")
        time.sleep(5)
        received = stream.viewer.received()
        lines = [no_leaks(stack, received), returned(received, unmuted, "muted")]
        lines.append(returned(received, joined, "left"))
    return lines


def test_covered_broadcaster_returns(stack):
    """A broadcaster who is covered by the operator cannot uncover by leaving and coming back"""
    with stack.stage("clean") as stream:
        time.sleep(2)
        stack.call("POST", f"/streams/{stream.id}/cover", {"on": True, "mute": True})
        time.sleep(1)
        stream.broadcaster.ask("leave")
        wait("the stream has ended", 5, lambda: not stack.live(stream.room))
        joined = time.monotonic()
        stream.broadcaster.ask("join", url=stack.url, token=stream.token, film="clean", codec="h264")
        again, _ = wait("the stream is live again", 10, lambda: live(stack, stream.room))
        time.sleep(2.5)
        received = stream.viewer.received()
        pictures = [row for row in received.rows if row.at > joined]
        shown = sum(row.index is not None for row in pictures)
        check(again["covered"], "the new stream says that it is not covered")
        check(pictures and not shown, f"{shown} of {len(pictures)} pictures were shown")
        check(not [at for at in received.beeps() if at > joined], "the sound was heard")
        return [f"{len(pictures)} pictures after the return, all covered"]


def live(stack, room):
    """The live stream of the room once frames are released."""
    found = stack.live(room)
    return found if found and found["state"] == "live" else None


def test_two_tracks(stack):
    """A screen share beside the camera, both with a face: neither shows it"""
    with stack.stage("face") as stream:
        time.sleep(1.5)
        stream.broadcaster.ask("screen", film="face")
        shared = stream.viewer.expect("first", 10, camera=False)
        time.sleep(5)
        camera = stream.viewer.received()
        screen = stream.viewer.received(camera=False)
        rates = [len(one.numbered(shared["at"])) / 5 for one in (camera, screen)]
        lines = [
            f"camera: {no_leaks(stack, camera)}",
            f"screen: {no_leaks(stack, screen)}",
            f"numbered pictures a second: camera {rates[0]:.0f}, screen {rates[1]:.0f}",
        ]
        check(min(rates) > 5, lines[-1])
    return lines
