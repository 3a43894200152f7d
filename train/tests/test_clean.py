"""The pure parts: what must never change silently. No torch, no corpora."""

from pagelm_train import clean
from pagelm_train.corpora import picture_books
from pagelm_train.truecase import Truecaser


def test_the_split_is_a_pure_function_of_the_letters():
    text = 'Once upon a time there was a fox. "Hello," said the fox.'
    same = "once  upon a time\nthere was a fox. “HELLO”, said the fox"
    assert clean.fingerprint(text) == clean.fingerprint(same)
    assert clean.is_held_out(text) == clean.is_held_out(same)


def test_the_split_is_frozen():
    # Later models are compared on these documents: a change here makes every earlier figure worthless.
    held = [n for n in range(400) if clean.is_held_out(f"This is story number {n}.")]
    assert held == FROZEN
    assert 0.01 < sum(clean.is_held_out(f"Story {n}") for n in range(10_000)) / 10_000 < 0.05


FROZEN = [15, 32, 42, 43, 45, 52, 72, 83, 89, 120, 191, 202, 217, 240, 292, 297, 298, 314, 349, 366, 384]


def test_non_commercial_licences_are_seen_however_they_are_spelled():
    for licence in ("[CC-BY-NC]", "CC BY-NC-SA", "CC_BY_NC 4.0", "Creative Commons Attribution NonCommercial",
                    "Attribution-Non-Commercial", "cc-by-nc-nd"):
        assert clean.is_non_commercial(licence), licence
    for licence in ("[CC-BY]", "CC-BY 4.0", "[Public Domain]", "CDLA-Sharing-1.0", "MIT", "Inc."):
        assert not clean.is_non_commercial(licence), licence


def test_a_picture_book_with_two_licences_gets_the_stricter(tmp_path):
    folder = tmp_path / "books" / "en"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("0001 | [A](x) | [CC-BY-NC](y)\n0002 | [B](x) | [CC-BY](y)\n")
    page = "# {}\n\n##\nThe goat\nwalks.\n\n##\nThe end.\n\n##\n* License: [CC-BY]\n* Text: Ann\n* Language: en\n"
    (folder / "0001_a.md").write_text(page.format("A"))
    (folder / "0002_b.md").write_text(page.format("B"))
    a, b = picture_books(tmp_path, "storyweaver", "books")
    assert clean.is_non_commercial(a.licence) and not clean.is_non_commercial(b.licence)
    assert (b.title, b.author, b.text) == ("B", "Ann", "The goat walks.\n\nThe end.")


def test_gutenberg_headers_and_footers_go():
    book = ("The Project Gutenberg EBook of X\nTerms of use\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n\n"
            "Produced by A. Person\n\nOnce there was a hen.\n\n[Illustration: a hen]\n\nShe laid an egg.\n\n"
            "End of the Project Gutenberg EBook of X\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\nLicence text\n")
    text = clean.strip_gutenberg(book)
    assert text.startswith("Once there was a hen.") and text.endswith("She laid an egg.\n")
    assert "Gutenberg" not in text and "Illustration" not in text and "Licence" not in text


def test_normal_form():
    assert clean.normalise("â€œHiâ€\x9d\u00a0said  Tom\r\n\r\n\r\n“Yes…” — no") == '"Hi" said Tom\n\n"Yes..." – no'
    assert clean.normalise("It’s  a\tcat .") == "It's a cat ."


def test_safety_rules_match_whole_words_only():
    version, rules = clean.load_safety_rules()
    assert version == "1"
    assert clean.safety_violation("He took the gun.", rules) == "weapons"
    assert clean.safety_violation("The wolf ate the cake and Sussex had begun.", rules) is None


def test_truecase():
    truecase = Truecaser(["we saw Lily and met Lily there", "the dog ran, and Lily sat"])
    assert truecase('one day, a boy named tom met lily. "hi, i am tom," he said. her mom smiled.') == (
        'One day, a boy named Tom met Lily. "Hi, I am Tom," he said. Her mom smiled.')
