"""Data: what datasets give, and how it becomes what a method reads. Part of the public surface.

Everything here is numpy and Pillow; `pgsynth_core.data.tensors`, which makes batches of it, and
`pgsynth_core.data.kept`, which finds what is made of them already, import torch, and are imported by themselves.
"""

from __future__ import annotations

from pgsynth_core.data.cache import (
    SHARD_KIND,
    SHARD_SUFFIX,
    UNFINISHED,
    cache_files,
    cache_root,
    locked,
    place_of,
    room_at,
)
from pgsynth_core.data.community import CommunityFiles, CommunityLayout, CommunityTables, read_community
from pgsynth_core.data.draw import heatmaps, pose_mask, skeleton
from pgsynth_core.data.files import (
    PARSING_SUFFIX,
    POSE_SUFFIX,
    beside,
    inside,
    read_image,
    read_label_map,
    read_labels,
    unread,
    write_label_map,
)
from pgsynth_core.data.fit import Fit, FitMode, fit_person
from pgsynth_core.data.flips import flip_pair, flip_person
from pgsynth_core.data.formats import from_coco, from_openpose, to_openpose, write_pose
from pgsynth_core.data.keypoints import (
    JOINT_COLOURS,
    JOINTS,
    LIMB_COLOURS,
    LIMBS,
    MIRRORED_JOINTS,
    OPENPOSE_18,
    flip_keypoints,
    no_keypoints,
    present,
)
from pgsynth_core.data.labels import LABELS, Group, LabelSet, flip_labels, label_set_of, voc_palette
from pgsynth_core.data.poses.json_forms import read_pose
from pgsynth_core.data.pyramid import label_pyramid, mask_pyramid
from pgsynth_core.data.records import (
    BadRecord,
    DataContext,
    DataError,
    Dataset,
    Image,
    Keypoints,
    LabelMap,
    Pair,
    Person,
    Split,
)
from pgsynth_core.data.shards import SHARD_DIGEST, SHARD_FIELDS, SHARD_INDEX, ShardEntry, read_shard_index, shard_key
from pgsynth_core.data.stored import FileDataset, PhotoFolders, existing_root, no_label_map
from pgsynth_core.data.tables import Annotations, Row, Table, read_annotations, read_table

__all__ = [
    "JOINTS",
    "JOINT_COLOURS",
    "LABELS",
    "LIMBS",
    "LIMB_COLOURS",
    "MIRRORED_JOINTS",
    "OPENPOSE_18",
    "PARSING_SUFFIX",
    "POSE_SUFFIX",
    "SHARD_DIGEST",
    "SHARD_FIELDS",
    "SHARD_INDEX",
    "SHARD_KIND",
    "SHARD_SUFFIX",
    "UNFINISHED",
    "Annotations",
    "BadRecord",
    "CommunityFiles",
    "CommunityLayout",
    "CommunityTables",
    "DataContext",
    "DataError",
    "Dataset",
    "FileDataset",
    "Fit",
    "FitMode",
    "Group",
    "Image",
    "Keypoints",
    "LabelMap",
    "LabelSet",
    "Pair",
    "Person",
    "PhotoFolders",
    "Row",
    "ShardEntry",
    "Split",
    "Table",
    "beside",
    "cache_files",
    "cache_root",
    "existing_root",
    "fit_person",
    "flip_keypoints",
    "flip_labels",
    "flip_pair",
    "flip_person",
    "from_coco",
    "from_openpose",
    "heatmaps",
    "inside",
    "label_pyramid",
    "label_set_of",
    "locked",
    "mask_pyramid",
    "no_keypoints",
    "no_label_map",
    "place_of",
    "pose_mask",
    "present",
    "read_annotations",
    "read_community",
    "read_image",
    "read_label_map",
    "read_labels",
    "read_pose",
    "read_shard_index",
    "read_table",
    "room_at",
    "shard_key",
    "skeleton",
    "to_openpose",
    "unread",
    "voc_palette",
    "write_label_map",
    "write_pose",
]
