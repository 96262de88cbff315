"""Saving an edited model without its base, and putting it together again."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    pipeline,
)

from memedit import EditedModel, EditMemory, Router, ScopeClassifier, wrap
from memedit.checkpoints import shipped
from memedit.editors.choice import EditorChoice
from memedit.editors.literal import LiteralEditor
from memedit.errors import CheckpointError, EncoderMismatchError, MemoryFileError
from memedit.pipelines import EditedTextGenerationPipeline
from tests.hooks import hooks_of_memedit
from tests.memory.hashing import HashingEncoder

QUESTIONS = ("What is the capital of France?", "Who founded Microsoft?", "What is the currency of Japan?")


@pytest.fixture
def edited(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, encoder: Any, classifier: ScopeClassifier
) -> Iterator[EditedModel]:
    """Mini with the shipped adapter and two edits, one of which was changed."""
    model = wrap(mini, mini_tokenizer, memory=EditMemory(None, encoder), scope=classifier, namespace="tests")
    model.edits.add(QUESTIONS[0], "Nice", aliases=["France's capital city is"], namespace="tests")
    model.edits.update(model.edits.list()[0].id, target="Lyon")
    model.edits.add(QUESTIONS[1], "I may not say", kind="erase", namespace="tests")
    yield model
    model.unwrap()


def answers(model: EditedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What the model says to the questions, in one batch."""
    inputs = tokenizer(list(QUESTIONS), return_tensors="pt", padding=True, padding_side="left")
    output = model.generate(inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=9)
    return tokenizer.batch_decode(output, skip_special_tokens=True)


def content(folder: Path) -> dict[str, str]:
    """Hash of each file, by its name."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def restored(folder: str | Path, **options: Any) -> EditedModel:
    """The saved model; its edits stay in RAM."""
    return EditedModel.from_pretrained(folder, **options)


def test_the_answers_are_the_same_before_and_after(
    edited: EditedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """A model restored from a folder alone loads base, tokenizer and encoder itself and answers as before."""
    before, described = answers(edited, mini_tokenizer), [edit.to_dict() for edit in edited.edits]
    edited.save_pretrained(tmp_path / "saved")
    again = restored(tmp_path / "saved")
    assert answers(again, mini_tokenizer) == before
    assert before[0].endswith("Lyon")
    assert before[1].endswith("I may not say")
    assert [edit.to_dict() for edit in again.edits] == described
    assert (again.isolation, again.namespace) == ("exact", "tests")
    assert again.base is not edited.base
    assert again.base.dtype == edited.base.dtype
    again.edits.undo(2)
    assert again.edits.list()[0].target == "Nice", "history comes along"


def test_the_base_is_found_from_anywhere_and_loaded_as_asked(
    encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base from a relative folder is loaded from another one too, in the precision asked for by either name."""
    monkeypatch.chdir(shipped("mini").parent)
    base = AutoModelForCausalLM.from_pretrained("mini")
    model = wrap(base, AutoTokenizer.from_pretrained("mini"), memory=EditMemory(None, encoder))
    model.save_pretrained(tmp_path / "saved")
    model.unwrap()
    monkeypatch.chdir(tmp_path)
    for name in ("dtype", "torch_dtype"):
        again = restored("saved", encoder=encoder, **{name: torch.bfloat16})
        assert again.base.dtype == torch.bfloat16
        again.unwrap()


def test_the_bases_weights_are_never_written(edited: EditedModel, tmp_path: Path) -> None:
    """The folder holds JSON, Markdown, the edits and the adapter: a small part of the base."""
    edited.save_pretrained(tmp_path)
    files = {name.rsplit(".", 1)[-1] for name in content(tmp_path)}
    assert files == {"json", "md", "db", "safetensors"}
    (weights,) = tmp_path.rglob("*.safetensors")
    assert weights == tmp_path / "editor" / "counterfactual" / "adapter_model.safetensors"
    assert edited.base.state_dict().keys().isdisjoint(content(tmp_path))
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "2 (1 erase, 1 modify)" in card
    assert "`counterfactual` (the default): the base reads the edit, with a LoRA adapter" in card
    assert "Lyon" not in card


def test_saving_twice_gives_the_same_bytes(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """Neither a second save, nor a save of what was restored, nor loading changes a byte."""
    edited.save_pretrained(tmp_path / "one")
    edited.save_pretrained(tmp_path / "two")
    edited.save_pretrained(tmp_path / "two")
    first = content(tmp_path / "one")
    assert content(tmp_path / "two") == first
    again = restored(tmp_path / "one", base=mini, tokenizer=mini_tokenizer, encoder=edited.edits.encoder)
    again.save_pretrained(tmp_path / "three")
    again.unwrap()
    assert content(tmp_path / "three") == first
    assert content(tmp_path / "one") == first


def test_nothing_is_encoded_again(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, classifier: ScopeClassifier, tmp_path: Path
) -> None:
    """The vectors come along: loading asks nothing of the encoder."""
    model = wrap(mini, mini_tokenizer, memory=EditMemory(None, HashingEncoder()), scope=classifier, editor="base")
    model.edits.add("Who runs Acme?", "Dana Reyes")
    model.save_pretrained(tmp_path)
    encoder = HashingEncoder()
    again = restored(tmp_path, base=mini, tokenizer=mini_tokenizer, encoder=encoder)
    assert len(again.edits) == 1
    assert encoder.encoded == []
    with pytest.raises(EncoderMismatchError, match=r"hashing-32.*pass the one"):
        restored(tmp_path, base=mini, tokenizer=mini_tokenizer, encoder=HashingEncoder(16))


def test_edits_may_live_on_in_a_file(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """A memory file is filled with the saved edits once; what is added to it later stays."""
    edited.save_pretrained(tmp_path / "saved")
    saved = content(tmp_path / "saved")
    given = {"base": mini, "tokenizer": mini_tokenizer, "encoder": edited.edits.encoder, "memory": tmp_path / "my.db"}
    for expected in (2, 3):
        again = restored(tmp_path / "saved", **given)
        assert len(again.edits) == expected
        again.edits.add("Who runs Acme?", "Dana Reyes")
        again.edits.close()
        again.unwrap()
    assert content(tmp_path / "saved") == saved


def test_a_saved_memory_opens_anywhere(edited: EditedModel, tmp_path: Path) -> None:
    """The edits alone are a memory file like any other."""
    edited.save_pretrained(tmp_path)
    with EditMemory(tmp_path / "edits.db", edited.edits.encoder) as memory:
        assert memory.list() == edited.edits.list()


def test_a_classifier_of_ones_own_is_saved_beside(edited: EditedModel, tmp_path: Path) -> None:
    """The shipped classifier is named by its hash; a calibrated one of the user's lies in the folder."""
    edited.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["scope"]["shipped"]
    assert not (tmp_path / "scope").exists()
    own = ScopeClassifier.from_pretrained()
    own.calibrate([("a b", "a b c"), ("a b", "x y")], [1, 0], keep_probabilities=True)
    edited.router = Router(edited.edits, own, k=3, margin=0.5)
    edited.save_pretrained(tmp_path)
    again = restored(tmp_path, base=edited.base, tokenizer=edited.tokenizer, encoder=edited.edits.encoder)
    again.editor.detach()
    assert again.router.classifier.threshold == own.threshold
    assert (again.router.k, again.router.margin) == (3, 0.5)


def test_a_shipped_classifier_that_changed_is_refused(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """A model that relied on another release's classifier says so, and takes another one if told to."""
    edited.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["scope"]["sha256"] = "0" * 64
    (tmp_path / "config.json").write_text(json.dumps(config))
    given = {"base": mini, "tokenizer": mini_tokenizer, "encoder": edited.edits.encoder}
    with pytest.raises(CheckpointError, match="shipped with memedit"):
        restored(tmp_path, **given)
    restored(tmp_path, scope=edited.router.classifier, **given).unwrap()


def test_another_base_is_refused_with_all_that_differs(
    edited: EditedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """One error lists architecture, vocabulary, size and weights; precision is no difference."""
    edited.save_pretrained(tmp_path)
    other = GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=1, n_head=2))
    given = {"tokenizer": mini_tokenizer, "encoder": edited.edits.encoder}
    with pytest.raises(CheckpointError) as caught:
        restored(tmp_path, base=other, **given)
    for word in ("architecture GPT2LMHeadModel, expected LlamaForCausalLM", "vocabulary 40, expected", "weights"):
        assert word in str(caught.value)
    trained = copy.deepcopy(edited.unwrap())
    with torch.no_grad():
        trained.lm_head.weight.mul_(1.5)
    with pytest.raises(CheckpointError, match="weights") as caught:
        restored(tmp_path, base=trained, **given)
    assert "architecture" not in str(caught.value)
    half = copy.deepcopy(edited.base).to(torch.bfloat16)
    assert restored(tmp_path, base=half, **given).base is half
    assert hooks_of_memedit(other) == hooks_of_memedit(trained) == 0


def test_a_base_that_cannot_be_found_is_asked_for(edited: EditedModel, tmp_path: Path) -> None:
    """The error names the base that is missing and the argument that supplies it."""
    edited.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for name, words in (("/nowhere/model", "folder that is not there.*pass base="), (None, "no id.*pass base=")):
        config["base"]["id"] = name
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(CheckpointError, match=words):
            restored(tmp_path)


def test_a_model_is_saved_where_it_came_from(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """What was restored from a folder is saved into the same folder again, its adapter too."""
    edited.save_pretrained(tmp_path)
    first = content(tmp_path)
    given = {"base": mini, "tokenizer": mini_tokenizer, "encoder": edited.edits.encoder}
    again = restored(tmp_path, **given)
    again.save_pretrained(tmp_path)
    assert content(tmp_path) == first
    again.edits.add(QUESTIONS[2], "Florin", namespace="tests")
    again.save_pretrained(tmp_path)
    again.unwrap()
    third = restored(tmp_path, **given)
    assert len(third.edits) == 3
    third.unwrap()


def test_a_save_that_is_refused_leaves_the_earlier_one(
    edited: EditedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """An editor that cannot be saved, and a memory in use, are refused before anything is touched."""
    edited.save_pretrained(tmp_path)
    before = content(tmp_path)
    own = EditedModel(
        edited.base, mini_tokenizer, edited.edits, edited.router, LiteralEditor(edited.base, mini_tokenizer)
    )
    with pytest.raises(CheckpointError, match="LiteralEditor cannot be saved"):
        own.save_pretrained(tmp_path)
    assert content(tmp_path) == before
    with EditMemory(tmp_path / "edits.db", edited.edits.encoder) as live:
        model = EditedModel(edited.base, mini_tokenizer, live, Router(live, edited.router.classifier), edited.editor)
        with pytest.raises(CheckpointError, match="the memory in use"):
            model.save_pretrained(tmp_path)
        assert len(live) == 2


def test_the_folder_of_another_model_is_left_alone(edited: EditedModel, tmp_path: Path) -> None:
    """Saving into a base model's own folder is refused before anything is written."""
    (tmp_path / "config.json").write_bytes((shipped("mini") / "config.json").read_bytes())
    before = content(tmp_path)
    with pytest.raises(CheckpointError, match="another model"):
        edited.save_pretrained(tmp_path)
    assert content(tmp_path) == before


@pytest.mark.parametrize("name", ["no/such-model", "neither a folder nor an id"])
def test_a_name_of_nothing_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is neither a folder nor to be had from the hub is named, with what was expected."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="a folder or a hub id"):
        restored(name)


@pytest.mark.parametrize("damage", ["nothing", "not json", "other format", "unknown setting", "unknown level"])
def test_what_is_no_edited_model_is_refused(edited: EditedModel, tmp_path: Path, damage: str) -> None:
    """A folder without config, with a broken or a foreign one gives one clear error and no half-loaded model."""
    edited.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    if damage == "nothing":
        path.unlink()
    elif damage == "not json":
        path.write_text("{")
    elif damage == "other format":
        path.write_text(json.dumps({**config, "format_version": 99}))
    elif damage == "unknown level":
        path.write_text(json.dumps({**config, "settings": {"isolation": "total"}}))
    else:
        path.write_text(json.dumps({**config, "router": {"speed": 9}}))
    hooks = hooks_of_memedit(edited.base)
    with pytest.raises(CheckpointError):
        restored(tmp_path, base=edited.base, tokenizer=edited.tokenizer, encoder=edited.edits.encoder)
    assert hooks_of_memedit(edited.base) == hooks


def test_a_damaged_memory_is_refused(edited: EditedModel, tmp_path: Path) -> None:
    """A truncated or missing edits.db is the memory's own error."""
    edited.save_pretrained(tmp_path)
    given = {"base": edited.base, "tokenizer": edited.tokenizer, "encoder": edited.edits.encoder}
    (tmp_path / "edits.db").write_bytes(b"nonsense" * 40)
    with pytest.raises(MemoryFileError, match="not a memedit memory"):
        restored(tmp_path, **given)
    (tmp_path / "edits.db").unlink()
    with pytest.raises(MemoryFileError, match="does not exist"):
        restored(tmp_path, **given)


class Hub:
    """Takes what `HfApi` would upload."""

    def __init__(self) -> None:
        self.made: list[tuple[str, bool | None]] = []
        self.files: dict[str, bytes] = {}

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> None:
        """Note the repository."""
        assert exist_ok
        self.made.append((repo_id, private))

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> Any:
        """Keep the files."""
        root = Path(folder_path)
        self.files = {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
        return SimpleNamespace(commit_url=f"https://huggingface.co/{repo_id}/commit/1")


def test_every_editor_that_is_in_use_comes_along(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """Editors that edits have named are saved beside the default; each edit is answered by its own again."""
    edited.edits.update(edited.edits.list()[0].id, editor="base")
    before = answers(edited, mini_tokenizer)
    edited.save_pretrained(tmp_path)
    assert {path.name for path in (tmp_path / "editor").iterdir()} == {"choice.json", "base", "counterfactual"}
    again = restored(tmp_path, base=mini, tokenizer=mini_tokenizer, encoder=edited.edits.encoder)
    choice = again.editor
    assert isinstance(choice, EditorChoice)
    assert (choice.default, sorted(choice.made)) == ("counterfactual", ["base", "counterfactual"])
    assert again.edits.list()[0].editor == "base"
    assert answers(again, mini_tokenizer) == before
    again.unwrap()


def test_a_folder_with_one_editor_and_no_choice_is_read(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """What was saved before there were several editors has the only one's files in `editor/` itself."""
    before = answers(edited, mini_tokenizer)
    edited.save_pretrained(tmp_path)
    (tmp_path / "editor" / "choice.json").unlink()
    for file in (tmp_path / "editor" / "counterfactual").iterdir():
        file.rename(tmp_path / "editor" / file.name)
    again = restored(tmp_path, base=mini, tokenizer=mini_tokenizer, encoder=edited.edits.encoder)
    assert answers(again, mini_tokenizer) == before
    again.unwrap()


def test_the_hub_gets_the_same_folder_without_what_was_removed(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """A push uploads a folder that restores; removed edits and former answers are not published."""
    secret = edited.edits.add("Who is the secret friend?", "Mallory Quux", namespace="tests")
    edited.edits.remove(secret.id)
    hub = Hub()
    url = edited.push_to_hub("someone/edited-mini", private=True, api=hub)
    assert url == "https://huggingface.co/someone/edited-mini/commit/1"
    assert hub.made == [("someone/edited-mini", True)]
    assert b"Lyon" in hub.files["edits.db"]
    for text in (b"Mallory", b"secret friend", b"Nice"):
        assert text not in hub.files["edits.db"]
    for name, data in hub.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    again = restored(tmp_path, base=mini, tokenizer=mini_tokenizer, encoder=edited.edits.encoder)
    assert answers(again, mini_tokenizer)[0].endswith("Lyon")
    assert again.edits.update(again.edits.list()[0].id, target="Brest").target == "Brest"
    again.edits.undo()
    assert [edit.target for edit in again.edits] == ["Lyon", "I may not say"]
    again.unwrap()


def test_a_pipeline_saves_its_model(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, edited: EditedModel, tmp_path: Path
) -> None:
    """`save_pretrained` of a wrapped pipeline writes what its model writes; one can be made of what is restored."""
    plain = pipeline("text-generation", model=mini, tokenizer=mini_tokenizer, device="cpu")
    pipe = wrap(plain, memory=edited.edits, scope=edited.router.classifier, namespace="tests")
    pipe.save_pretrained(tmp_path / "pipe")
    edited.save_pretrained(tmp_path / "model")
    pipe.model.unwrap()
    assert content(tmp_path / "pipe") == content(tmp_path / "model")
    again = restored(tmp_path / "pipe", base=mini, tokenizer=mini_tokenizer, encoder=edited.edits.encoder)
    made = EditedTextGenerationPipeline(model=again, tokenizer=again.tokenizer)
    ask = {"max_new_tokens": 9, "do_sample": False, "return_full_text": False}
    answer = made(QUESTIONS[0], **ask)
    assert answer[0]["generated_text"].strip() == "Lyon"
    again.unwrap()
    given = {"base": mini, "tokenizer": mini_tokenizer, "encoder": edited.edits.encoder}
    loaded = EditedTextGenerationPipeline.from_pretrained(tmp_path / "pipe", batch_size=2, device="cpu", **given)
    assert loaded([QUESTIONS[0]], **ask) == [answer]
    assert loaded.edits.list() == edited.edits.list()
    loaded.model.unwrap()


def test_a_model_without_a_named_tokenizer_asks_for_it(edited: EditedModel, tmp_path: Path) -> None:
    """Where no tokenizer can be loaded, the error says how to give one."""
    edited.tokenizer = None
    edited.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="pass tokenizer="):
        restored(tmp_path, base=edited.base, encoder=edited.edits.encoder)
