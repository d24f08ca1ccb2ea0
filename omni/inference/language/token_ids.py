"""Token ids in place of texts, as OpenAI's clients send them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omni.inference.language.models import EmbeddingModel
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    from omni.inference.language.splitting.bpe import Bpe

CLS, SEP = 101, 102
CL100K, CL100K_TOKENS = "cl100k_base", 100_256
"""Its tokens of text; the special ones behind them stand for none."""


class TokenTexts:
    """Reads ids of cl100k_base."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._bpe: LazyEngine[Bpe] = LazyEngine("omni.inference.language.splitting.bpe", lambda module: module.Bpe())

    async def read(self, call: Call, inputs: Sequence[list[int]]) -> list[str]:
        """The texts that ids spell. Raises InvalidInput `input_empty`, `token_id_out_of_range` or
        `token_ids_not_text`.
        """
        for index, ids in enumerate(inputs):
            require_known(ids, index, CL100K, CL100K_TOKENS)

        def work() -> list[str]:
            bpe, texts = self._bpe.get(), []
            for index, ids in enumerate(inputs):
                call.seconds_left()
                try:
                    texts.append(bpe.text(CL100K, ids))
                except ValueError:
                    raise InvalidInput(
                        "token_ids_not_text",
                        f"input[{index}] begins or ends within a character of {CL100K}. Cut between characters, or "
                        "send text.",
                        param="input",
                    ) from None
            return texts

        return await self._pool.run(call, "splitting", work)


def framed(ids: list[int], index: int, model: EmbeddingModel) -> list[int]:
    """Ids of the model's own vocabulary as it reads them: [CLS] … [SEP], which are added unless they are there.

    Raises InvalidInput `input_empty` or `token_id_out_of_range`.
    """
    require_known(ids, index, model.name, model.vocabulary)
    return ids if ids[0] == CLS and ids[-1] == SEP else [CLS, *ids, SEP]


def require_known(ids: list[int], index: int, vocabulary: str, size: int) -> None:
    """Raises InvalidInput `input_empty` or `token_id_out_of_range`."""
    if not ids:
        raise InvalidInput("input_empty", f"input[{index}] is empty. Send token ids.", param="input")
    if not all(0 <= token < size for token in ids):
        raise InvalidInput(
            "token_id_out_of_range",
            f"input[{index}] has a token id outside the vocabulary of {vocabulary} (0 to {size - 1}). Send text.",
            param="input",
        )
