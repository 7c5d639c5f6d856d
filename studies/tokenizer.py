"""The character-level tokenizer that all embedded backbones share."""

from transformers import PreTrainedTokenizerFast

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"
SPECIAL = (PAD, EOS, UNKNOWN)
SYMBOLS = tuple(chr(code) for code in range(32, 127))
VOCABULARY = {symbol: index for index, symbol in enumerate(SPECIAL + SYMBOLS)}
VOCABULARY_SIZE = len(VOCABULARY)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token per printable ASCII character, and <pad>, <eos>, <unk>.

    Nothing is added at the start of a text, and <eos> only by who wants it.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )
