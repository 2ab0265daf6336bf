"""What is wrong with a config.yaml, in English as agents say it, and in Chinese.  Pure."""

from __future__ import annotations

import re

from gpu_queue import notices
from gpu_queue.console.keys import text_of
from gpu_queue.console.models.common import Words

_TEXT_MAX = 2000
_TIME = "a time: seconds, or for example 90s, 30m, 4h or 1d12h"
_TIME_ZH = "时间：秒数，或如 90s、30m、4h、1d12h"
_OF_TASKS = (notices.ENDED, notices.DONE, notices.FAILED)
EXPECTED_ZH = {
    "true or false": "true 或 false",
    "text": "文本",
    "a whole number": "整数",
    "a whole number, 1 or more": "不小于 1 的整数",
    "a whole number, 0 to 100": "0 到 100 的整数",
    "a user's number": "用户编号（uid）",
    "a percentage, 0 to 100": "0 到 100 的百分数",
    "a part of the memory from 0 to 0.95, for example 0.6": "0 到 0.95 的显存比例，如 0.6",
    _TIME: _TIME_ZH,
    f"{_TIME}; longer than 0 s": f"{_TIME_ZH}；须大于 0",
    "a time longer than 0 s": "大于 0 的时间",
    f"{_TIME}; or never": f"{_TIME_ZH}；或 never",
    "hours, for example 24 or 0.5": "小时数，如 24 或 0.5",
    "a size: bytes, or for example 20G or 512M": "大小：字节数，或如 20G、512M",
    "a size: MB, or for example 8G or 512M": "大小：MB 数，或如 8G、512M",
    "hours, for example 22:00-07:00, or mon-fri 09:00-18:00; sat,sun": "时段，如 22:00-07:00 或 mon-fri 09:00-18:00; sat,sun",
    "all, or indices and UUIDs of GPUs": "all，或 GPU 的编号、UUID",
    "an index or a UUID of a GPU": "GPU 的编号或 UUID",
    "a number of GPUs (the last ones), or free: and a number (of those that are free)": "GPU 数量（最后几张），或 free: 加数量（空闲卡中的几张）",
    "the path of a file whose name ends with .json": "以 .json 结尾的文件路径",
    "a group of settings": "一组设置",
    notices.expected(()): notices.expected_zh(()),
    notices.expected(notices.OF_OTHERS): notices.expected_zh(notices.OF_OTHERS),
    notices.expected(_OF_TASKS): notices.expected_zh(_OF_TASKS),
    "a mapping of settings": "由设置组成的映射",
}
"""What kinds of values say was expected; a test holds that none is missing."""
_LIST, _NONE = ", or a list of such", "; or none"
_GROUP = ", or a group of settings"
_WORDS = re.compile(r"[a-z_]+(?: or [a-z_]+)+")
_FOUND = {
    "nothing": "没有值",
    "a mapping": "一个映射",
    "a list": "一个列表",
    "an empty list": "空列表",
    "a date": "日期",
    "bytes": "二进制",
}


def expected_zh(text: str) -> str | None:
    """What was expected, in Chinese; None: this version knows no words for it."""
    for end, end_zh in ((_LIST, "，或这样的列表"), (_NONE, "；或 none"), (_GROUP, "，或一组设置")):
        if text.endswith(end):
            inner = expected_zh(text.removesuffix(end))
            return None if inner is None else inner + end_zh
    if text in EXPECTED_ZH:
        return EXPECTED_ZH[text]
    return text.replace(" or ", " 或 ") if _WORDS.fullmatch(text) else None


def in_both(text: str) -> Words:
    """A problem in both languages; one that this version has no words for is told in English in both."""
    text = text_of(text, _TEXT_MAX)
    return Words(en=text, zh=_zh(text) or text)


def _zh(text: str) -> str | None:
    if match := re.fullmatch(r"(.*?); expected (.*)", text, re.DOTALL):
        said = expected_zh(match[2])
        found = _FOUND.get(match[1], match[1])
        return None if said is None else f"{found}；应为{said}"
    if match := re.fullmatch(r"unknown setting (.*); did you mean (.*)\?", text, re.DOTALL):
        return f"没有设置 {match[1]}；是 {match[2]} 吗？"
    if match := re.fullmatch(r"unknown setting (.*); docs/settings.md lists them", text, re.DOTALL):
        return f"没有设置 {match[1]}；docs/settings.md 列出了全部设置"
    if match := re.fullmatch(r"given twice, first in line (\d+)", text):
        return f"重复给出，第一次在第 {match[1]} 行"
    if match := re.fullmatch(r"no YAML: (.*)", text, re.DOTALL):
        return f"不是 YAML：{match[1]}"
    if match := re.fullmatch(r"(\d+) more problems", text):
        return f"另有 {match[1]} 个问题"
    if match := re.fullmatch(r"it is larger than (\d+) bytes", text):
        return f"超过 {match[1]} 字节"
    return None


def refusal(code: str, detail: str) -> Words:
    """Why a field cannot be changed in the text."""
    zh = {
        "no_yaml": "config.yaml 不是可以按字段修改的 YAML；请在“内容”中修改",
        "entangled": "改动它会连带改动文件中的其他内容；请在“内容”中修改",
    }
    return Words(en=text_of(detail), zh=zh.get(code, text_of(detail)))
