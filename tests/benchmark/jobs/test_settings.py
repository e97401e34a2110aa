import pytest

from benchmark.errors import UserError
from benchmark.jobs.settings import (
    CLASSIFIER,
    DATA,
    ORACLES,
    check_overrides,
    method_config,
    parse_overrides,
)
from benchmark.names import PRESETS
from methods import METHODS


def asked(name, preset="default", *assignments):
    return method_config(name, preset, parse_overrides(assignments))


def refusal(*assignments, preset="default"):
    """What the user reads, which is one line."""
    with pytest.raises(UserError) as error:
        check_overrides(["vaex"], preset, parse_overrides(assignments))
    assert "\n" not in str(error.value)
    return str(error.value)


# -- what goes before what ---------------------------------------------------------------------------------------------


def test_defaults_are_the_class_s():
    """Without anything asked, a method has its class's own defaults and the variant's settings."""
    assert asked("vaex") == METHODS["vaex"].load().Config()
    assert asked("vaex-cat").conditioning == "concatenation"


def test_preset_goes_before_defaults():
    """A preset changes what it lists, and nothing else."""
    default, smoke = asked("vaex").model_dump(), asked("vaex", "smoke").model_dump()
    changed = METHODS["vaex"].load().presets["smoke"]
    assert {name for name in default if default[name] != smoke[name]} <= set(changed)
    assert {name: smoke[name] for name in changed} == changed


@pytest.mark.parametrize("preset", PRESETS)
def test_variant_goes_before_preset(preset):
    """What makes a variant stays under every preset."""
    for name, entry in METHODS.items():
        resolved = asked(name, preset).model_dump()
        assert {field: resolved[field] for field in entry.settings} == dict(entry.settings)


def test_user_goes_before_all():
    """What the user sets goes before preset and variant, and leaves the other fields alone."""
    before = asked("vaex-cat", "smoke")
    after = asked("vaex-cat", "smoke", "vaex-cat.epochs=7", "vaex-cat.conditioning=adain")
    assert after == before.model_copy(update={"epochs": 7, "conditioning": "adain"})


def test_who_has_no_settings_says_so():
    """A setting of a method that has none is refused by saying that, not by an empty list."""
    assert "null has no settings" in refusal("null.x=1")


@pytest.mark.parametrize(("text", "value"), [(".9", 0.9), ("-.5", -0.5), (".5e1", 5.0), ("..9", "..9"), (".x", ".x")])
def test_numbers_may_begin_with_the_point(text, value):
    """As people write them, though JSON knows them with a zero only."""
    assert parse_overrides([f"hybrid.confidence={text}"]) == {"hybrid": {"confidence": value}}


def test_last_assignment_counts():
    """Of two values for one field the last one counts."""
    assert asked("vaex", "default", "vaex.epochs=3", "vaex.epochs=5").epochs == 5


def test_sections_do_not_mix():
    """A setting of one method, or of the classifier, touches no other."""
    overrides = parse_overrides(["vaex.epochs=7", "classifier.epochs=3", "data.queries=9"])
    assert method_config("vaex-cat", "default", overrides) == asked("vaex-cat")
    assert all(one.resolved("default", overrides) == one.resolved("default", {}) for one in ORACLES.values())
    assert CLASSIFIER.resolved("default", overrides).epochs == 3
    assert DATA.resolved("default", overrides).queries == 9


def test_one_section_sets_all_oracles():
    """What is set of the oracle is set of every member of the panel; they stay apart in the rest."""
    overrides = parse_overrides(["oracle.epochs=3"])
    members = [section.resolved("default", overrides) for section in ORACLES.values()]
    assert [member.epochs for member in members] == [3, 3, 3]
    assert len({member.model_dump_json() for member in members}) == 3


# -- how values are written --------------------------------------------------------------------------------------------


def test_lists_are_json():
    """A tuple is written as a JSON list."""
    config = asked("vaex", "default", "vaex.widths=[4, 8]", "vaex.latents=[12, 4]")
    assert (config.widths, config.latents) == ((4, 8), (12, 4))


@pytest.mark.parametrize("text", ['"squaring"', "squaring"])
def test_words_need_no_quotes(text):
    """A word is taken as it stands, or as a JSON string."""
    assert asked("vaex", "default", f"vaex.schedule={text}").schedule == "squaring"


def test_whole_number_is_a_float():
    """Where a float is asked for, a whole number is one."""
    value = asked("vaex", "default", "vaex.beta=3").beta
    assert (value, type(value)) == (3.0, float)


def test_null_takes_a_limit_away():
    """JSON's null is a value where a field may be left open."""
    assert DATA.resolved("smoke", parse_overrides(["data.train_images=null"])).train_images is None


def test_value_may_hold_an_equals_sign():
    """Only the first equals sign parts the name from the value."""
    assert parse_overrides(["vaex.schedule=a=b"]) == {"vaex": {"schedule": "a=b"}}


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["vaex", "vaex.epochs", "vaex=3", "=3", "vaex.=3", "", "."])
def test_other_forms_are_refused(text):
    """An assignment of another form is refused with an example."""
    assert "--set vaex.epochs=30" in refusal(text)


def test_unknown_section_is_refused():
    """An unknown section is refused with the nearest spelling and the known ones."""
    message = refusal("vaxe.epochs=3")
    assert "did you mean 'vaex'" in message
    assert all(name in message for name in (*METHODS, "classifier", "oracle", "data"))


def test_unknown_field_is_refused():
    """An unknown field is refused with the nearest spelling and the known ones."""
    message = refusal("vaex.epoch=3")
    assert "did you mean 'epochs'" in message
    assert "learning_rate" in message


def test_every_section_is_looked_at():
    """A mistake in the settings of a method that is not asked for is a mistake all the same."""
    with pytest.raises(UserError, match="epochs"):
        check_overrides(["null"], "default", parse_overrides(["vaex.epochs=lots"]))


@pytest.mark.parametrize(
    "assignment",
    [
        "vaex.epochs=lots",  # text for a whole number
        "vaex.epochs=true",  # truth for a whole number
        "vaex.epochs=1.5",  # a broken number for a whole one
        'vaex.epochs="3"',  # digits in quotes
        "vaex.epochs=null",
        "vaex.epochs=",
        "vaex.epochs=0",  # out of range
        "vaex.epochs=-1",
        "vaex.learning_rate=0",
        "vaex.learning_rate=fast",
        "vaex.learning_rate=NaN",
        "vaex.learning_rate=Infinity",
        "vaex.learning_rate=1e999",
        "vaex.relax_log_variance=1",  # a number for truth
        "vaex.relax_log_variance=yes",
        "vaex.variance_momentum=1.5",
        "vaex.schedule=cubing",
        "vaex.schedule=3",
        "vaex.widths=4",
        'vaex.widths=[4,"8"]',
        "vaex.widths=[4,0]",
        "vaex.widths={}",
        "classifier.dropout=1",
        "classifier.pooling=median",
        "classifier.channels=[0]",
        "classifier.channels=[-3]",
        "oracle.kernel_size=0",
        "data.queries=0",
        "data.train_images=many",
    ],
)
def test_ill_typed_value_is_refused(assignment):
    """A value of the wrong type or range is refused in one line that names section and field."""
    message = refusal(assignment)
    section, _, rest = assignment.partition(".")
    assert section in message
    assert rest.partition("=")[0] in message


def test_values_that_do_not_fit_each_other_are_refused():
    """Values that are well typed alone and wrong together are refused with the reason."""
    assert "as many latents, or one fewer" in refusal("vaex.widths=[4,8,16]", "vaex.latents=[12]")
