/* SPDX-License-Identifier: MIT */
/* The word list (H51): what counts as the word, and the list we ship. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/accounts/profanity.h"

#define SHIPPED_LIST "common/accounts/profanity.txt" /* unit tests run in the project's folder */

/* A list made of text, through a file, as any list comes. */
static enum tk_err load_text(const char *text, size_t len, struct profanity **list, unsigned *line)
{
    char path[] = "/tmp/tako-profanity-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
    enum tk_err err = profanity_load(path, list, line);
    unlink(path);
    return err;
}

static struct profanity *list_of(const char *text)
{
    struct profanity *list;
    unsigned line;

    assert_int_equal(load_text(text, strlen(text), &list, &line), TK_OK);
    return list;
}

static void expect(const struct profanity *list, const char *text, bool found)
{
    if (profanity_found(list, tk_slice_str(text)) != found)
        fail_msg("\"%s\" should %s", text, found ? "be found" : "pass");
}

/* Every example of H51, with what tako adds to the original: NFKC, and '_' as a boundary. */
static void the_examples_of_the_contract(void **state)
{
    struct profanity *list = list_of("shit\nass\nfuck\n4r5e\nson of a gun\n");

    expect(list, "shit", true);
    expect(list, "SHIT.", true);
    expect(list, "my ass", true);
    expect(list, "fuck-you", true);
    expect(list, "shit\xF0\x9F\x98\x80", true);
    expect(list, "\xC5\xBFhit", true); /* long s */
    expect(list, "4r5e", true);
    expect(list, "son of a gun", true);
    expect(list, "Son Of A Gun!", true);

    expect(list, "class", false);
    expect(list, "xfuckx", false);
    expect(list, "shit1", false);
    expect(list, "f u c k", false);
    expect(list, "\xE3\x82\xB9shit", false); /* a katakana letter is a letter */
    expect(list, "arse", false);             /* only leet that is on the list */
    expect(list, "son  of a gun", false);    /* exactly one blank */

    expect(list, "fuck_you", true);
    expect(list, "son_of_a_gun", true);
    expect(list, "\xEF\xBD\x93\xEF\xBD\x88\xEF\xBD\x89\xEF\xBD\x94", true); /* wide */
    expect(list, "\xF0\x9D\x90\x92\xF0\x9D\x90\x87\xF0\x9D\x90\x88\xF0\x9D\x90\x93",
           true);                           /* bold */
    expect(list, "sh\xE2\x80\x8Bit", true); /* zero width space */
    profanity_free(list);
}

static void folding_works_both_ways(void **state)
{
    struct profanity *list = list_of("STRA\xC3\x9F"
                                     "E\n");

    expect(list, "strasse", true);
    expect(list,
           "Stra\xC3\x9F"
           "e",
           true);
    profanity_free(list);
}

/* The original has an entry ending in '$' that could hardly ever match. */
static void entries_may_end_in_symbols(void **state)
{
    struct profanity *list = list_of("a$$\n@ss\n");

    expect(list, "a$$", true);
    expect(list, "my a$$!", true);
    expect(list, "@ss_man", true);
    expect(list, "a$$1", false);
    expect(list, "b@ss", false);
    expect(list, "ba$$", false);
    profanity_free(list);
}

static void comments_and_blanks_do_not_count(void **state)
{
    struct profanity *list = list_of("# heading\n\n  bad \t# why\r\n#worse\nlast");

    expect(list, "bad", true);
    expect(list, "last", true);
    expect(list, "worse", false);
    expect(list, "heading", false);
    expect(list, "", false);
    profanity_free(list);
}

static void an_empty_list_finds_nothing(void **state)
{
    struct profanity *list = list_of("# nothing yet\n");

    expect(list, "anything", false);
    profanity_free(list);
    profanity_free(NULL);
}

static void a_bad_file_is_refused(void **state)
{
    static const char not_utf8[] = "one\ntwo\n\xC0\xAF\n";
    struct profanity *list = NULL;
    char long_line[400];
    unsigned line = 0;

    assert_int_equal(load_text(not_utf8, sizeof(not_utf8) - 1, &list, &line), TK_EINVAL);
    assert_int_equal(line, 3);
    memset(long_line, 'a', sizeof(long_line));
    assert_int_equal(load_text(long_line, sizeof(long_line), &list, &line), TK_EINVAL);
    assert_int_equal(line, 1);
    assert_int_equal(profanity_load("/nonexistent/list", &list, &line), TK_EIO);
    assert_null(list);
}

static void the_setting_names_the_list(void **state)
{
    struct profanity *list;
    char why[200];

    assert_int_equal(profanity_open("none", &list, why, sizeof(why)), TK_OK);
    assert_null(list);
    assert_int_equal(profanity_open("/nonexistent/list", &list, why, sizeof(why)), TK_EIO);
    assert_null(list);
    assert_string_equal(why, "/nonexistent/list: No such file or directory");
}

static struct profanity *shipped_list(void)
{
    struct profanity *list;
    char why[200];

    assert_int_equal(profanity_open(SHIPPED_LIST, &list, why, sizeof(why)), TK_OK);
    return list;
}

static void the_shipped_list_refuses_the_worst(void **state)
{
    struct profanity *list = shipped_list();

    expect(list, "shit", true);
    expect(list, "My Ass", true);
    expect(list, "Silly_Bitch", true);
    expect(list, "heil hitler", true);
    expect(list, "xX fuck Xx", true);
    profanity_free(list);
}

/* Names as the real client generates them, and words that hold an entry inside. */
static void the_shipped_list_lets_decent_names_pass(void **state)
{
    static const char *const adjectives[] = {"Confident", "Crazy", "Sad", "Silly", "Wild", "Brave"};
    static const char *const names[] = {"Mion_Family", "Dead_Beat", "Takodachi", "35P",
                                        "Brat",        "Human",     "KFP",       "Lu_Knight"};
    static const char *const words[] = {"class", "Scunthorpe", "assassin",  "cockatoo", "Dickens",
                                        "grape", "Essex",      "analysis",  "document", "peacock",
                                        "cumin", "Hancock",    "shiitake",  "hello",    "killer",
                                        "title", "spice",      "therapist", "raccoon",  "Uranus"};
    struct profanity *list = shipped_list();
    char name[64];

    for (size_t a = 0; a < TK_ARRAY_LEN(adjectives); a++) {
        for (size_t n = 0; n < TK_ARRAY_LEN(names); n++) {
            snprintf(name, sizeof(name), "%s_%s", adjectives[a], names[n]);
            expect(list, name, false);
        }
    }
    for (size_t i = 0; i < TK_ARRAY_LEN(words); i++)
        expect(list, words[i], false);
    profanity_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_contract),
        cmocka_unit_test(folding_works_both_ways),
        cmocka_unit_test(entries_may_end_in_symbols),
        cmocka_unit_test(comments_and_blanks_do_not_count),
        cmocka_unit_test(an_empty_list_finds_nothing),
        cmocka_unit_test(a_bad_file_is_refused),
        cmocka_unit_test(the_setting_names_the_list),
        cmocka_unit_test(the_shipped_list_refuses_the_worst),
        cmocka_unit_test(the_shipped_list_lets_decent_names_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
