"""Poses from anywhere: JSON, CSV, .npy and drawn skeletons in, and out again. No torch.

read_poses (reading) --> told apart by content --> json_forms | csv_forms | drawn --> frames (one person)
"""

from __future__ import annotations

from pgsynth_core.data.poses.frames import PoseFrame
from pgsynth_core.data.poses.reading import FoundIn, OnChoice, poses_in, read_poses
from pgsynth_core.data.poses.written import POSE_FORMS, PoseForm, frame_size, poses_as

__all__ = [
    "POSE_FORMS",
    "FoundIn",
    "OnChoice",
    "PoseForm",
    "PoseFrame",
    "frame_size",
    "poses_as",
    "poses_in",
    "read_poses",
]
