/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/tk_uuid.h"

static struct tk_uuid parsed(const char *text)
{
    struct tk_uuid uuid;

    assert_int_equal(tk_uuid_parse(tk_slice_str(text), &uuid), TK_OK);
    return uuid;
}

/* H71: upper case is accepted, lower case is shown. */
static void any_case_is_parsed_and_lower_case_is_written(void **state)
{
    static const uint8_t bytes[16] = {0x68, 0x1a, 0x6b, 0x2e, 0x9f, 0x00, 0x4a, 0xbc,
                                      0x80, 0x0d, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab};
    struct tk_uuid uuid = parsed("681A6B2E-9f00-4AbC-800D-0123456789aB");
    char text[TK_UUID_LEN + 1], brief[9];

    assert_memory_equal(uuid.bytes, bytes, sizeof(bytes));
    assert_string_equal(tk_uuid_format(&uuid, text), "681a6b2e-9f00-4abc-800d-0123456789ab");
    assert_string_equal(tk_uuid_short(&uuid, brief), "681a6b2e");
}

/* H71, C84 */
static void other_spellings_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "not-a-uuid",
        "681a6b2e9f004abc800d0123456789ab",
        "681a6b2e9f004abc800d0123456789ab----",
        "{681a6b2e-9f00-4abc-800d-0123456789ab}",
        " 681a6b2e-9f00-4abc-800d-0123456789ab",
        "681a6b2e-9f00-4abc-800d-0123456789ab ",
        "681a6b2e-9f00-4abc-800d-0123456789a",
        "681a6b2e-9f00-4abc-800d-0123456789abc",
        "681a6b2e-9f00-4abc-800d-0123456789ag",
        "681a6b2e-9f0-04abc-800d-0123456789ab",
        "681a6b2e_9f00_4abc_800d_0123456789ab",
        "-81a6b2e-9f00-4abc-800d-0123456789ab",
        "0x1a6b2e-9f00-4abc-800d-0123456789ab",
        "+81a6b2e-9f00-4abc-800d-0123456789ab",
    };
    struct tk_uuid uuid;

    for (size_t i = 0; i < TK_ARRAY_LEN(texts); i++)
        assert_int_equal(tk_uuid_parse(tk_slice_str(texts[i]), &uuid), TK_EINVAL);
    assert_int_equal(tk_uuid_parse(tk_slice("681a6b2e-9f00-4abc-800d-0123456789a\0", 36), &uuid),
                     TK_EINVAL);
    assert_int_equal(tk_uuid_parse(tk_slice(NULL, 0), &uuid), TK_EINVAL);
}

static void every_byte_is_checked(void **state)
{
    static const char good[] = "681a6b2e-9f00-4abc-800d-0123456789ab";
    struct tk_uuid uuid;

    for (size_t i = 0; i < TK_UUID_LEN; i++) {
        for (int c = 0; c < 256; c++) {
            char text[sizeof(good)];
            memcpy(text, good, sizeof(good));
            text[i] = (char)c;
            bool dash = i == 8 || i == 13 || i == 18 || i == 23;
            bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
            assert_int_equal(tk_uuid_parse(tk_slice(text, TK_UUID_LEN), &uuid),
                             (dash ? c == '-' : digit) ? TK_OK : TK_EINVAL);
        }
    }
}

/* H63 */
static void random_ones_are_version_4_and_differ(void **state)
{
    struct tk_uuid before = {{0}};

    for (int i = 0; i < 100; i++) {
        struct tk_uuid uuid;
        tk_uuid_random(&uuid);
        assert_int_equal(uuid.bytes[6] >> 4, 4);
        assert_int_equal(uuid.bytes[8] >> 6, 2);
        assert_false(tk_uuid_eq(&uuid, &before));
        before = uuid;
    }
}

/*
 * Computed apart from this code:
 *   printf '%s' tako-public-id:UUID | openssl dgst -sha256 -binary | base64 | tr '+/' '-_' | cut
 * -c1-22
 */
static void the_public_id_is_the_digest_of_the_lower_case_uuid(void **state)
{
    static const char *const vectors[][2] = {
        {"681A6B2E-0000-4000-8000-0123456789AB", "kfdS5-Yfc_0jlt9MsymB9c"},
        {"00000000-0000-0000-0000-000000000000", "w0xmrX3rVCn9TIbveCGxlu"},
        {"ffffffff-ffff-ffff-ffff-ffffffffffff", "zA2pbLSw2V578J9jSADPAv"},
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(vectors); i++) {
        struct tk_uuid uuid = parsed(vectors[i][0]);
        char id[TK_PUBLIC_ID_LEN + 1];
        assert_string_equal(tk_public_id(&uuid, id), vectors[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_case_is_parsed_and_lower_case_is_written),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(every_byte_is_checked),
        cmocka_unit_test(random_ones_are_version_4_and_differ),
        cmocka_unit_test(the_public_id_is_the_digest_of_the_lower_case_uuid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
