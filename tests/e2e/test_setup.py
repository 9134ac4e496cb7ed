"""The tests' own instruments."""

import numpy as np

import harness
import judge
import scene


def test_the_judge_sees_what_is_there(stack):
    """The judge itself: every face of the scene is seen, a blurred one is not"""
    import cv2

    film = stack.judge.film("face")
    for index in range(0, film.CYCLE, 7):
        flat, face = film.frame(index), film.face(index)
        luma = scene.planes(flat)[0]
        harness.check(scene.read_number(luma) == index, f"the number of frame {index} is lost")
        if face is None:
            continue
        harness.check(stack.judge.sees(flat, face), f"NudeNet misses the face of frame {index}")
        encoded = cv2.GaussianBlur(luma, (0, 0), 0.8)
        harness.check(judge.legible(luma, encoded, face), f"frame {index} is taken for covered")
        blurred = cv2.GaussianBlur(luma, (0, 0), 7)
        harness.check(not judge.legible(luma, blurred, face), f"frame {index}, blurred, leaks")
        small = cv2.resize(luma, None, fx=1 / 14, fy=1 / 14, interpolation=cv2.INTER_AREA)
        coarse = cv2.resize(small, luma.shape[::-1], interpolation=cv2.INTER_NEAREST)
        harness.check(not judge.legible(luma, coarse, face), f"frame {index}, pixelated, leaks")
        half = np.array(luma)
        left = round(face[0] + face[2] / 2)
        half[:, left : left + round(face[2])] = 60
        harness.check(judge.legible(luma, half, face), f"half of the face of frame {index} passes")


test_the_judge_sees_what_is_there.needs_stack = False
