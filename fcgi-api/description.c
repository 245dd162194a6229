/* SPDX-License-Identifier: MIT */
#include "fcgi-api/description.h"

#include <inttypes.h>

#include "common/tk_json.h"
#include "fcgi-api/jsonapi.h"

/* A file of the source tree as bytes of this program: name up to name_end. */
#define EMBED(name, file)                                                                          \
    __asm__(".section .rodata\n" #name ":\n.incbin \"" file "\"\n" #name "_end:\n.previous\n");    \
    extern const char(name)[], name##_end[]

EMBED(description_open_api, "fcgi-api/description/open_api.json");
EMBED(description_json_schema, "fcgi-api/description/json_schema.json");
EMBED(description_schemas, "fcgi-api/description/schemas.json");

#define EMBEDDED(name) tk_slice(name, (size_t)(name##_end - (name)))

/* What stands in the files between @ and @, with quotes around it where no text is meant. */
enum blank {
    BLANK_DEFINITIONS,
    BLANK_ERROR_CODES,
    BLANK_LEADERBOARD_MAX,
    BLANK_NICKNAME_MAX,
    BLANK_SCHEMAS,
    BLANK_SERVER,
    BLANK_STAMPS_MAX,
    BLANK_VERSION,
    BLANK_COUNT,
};

static const char *const blanks[] = {
    [BLANK_DEFINITIONS] = "@DEFINITIONS@",
    [BLANK_ERROR_CODES] = "\"@ERROR_CODES@\"",
    [BLANK_LEADERBOARD_MAX] = "\"@LEADERBOARD_MAX@\"",
    [BLANK_NICKNAME_MAX] = "@NICKNAME_MAX@",
    [BLANK_SCHEMAS] = "\"@SCHEMAS@\"",
    [BLANK_SERVER] = "\"@SERVER@\"",
    [BLANK_STAMPS_MAX] = "\"@STAMPS_MAX@\"",
    [BLANK_VERSION] = "@VERSION@",
};

struct filling {
    struct tk_buf texts[BLANK_COUNT];
};

/* Which blank the text begins with; BLANK_COUNT for none. */
static enum blank find_blank(struct tk_slice text)
{
    int blank = 0;

    for (; blank < BLANK_COUNT; blank++) {
        size_t len = strlen(blanks[blank]);
        if (text.len >= len && memcmp(text.ptr, blanks[blank], len) == 0)
            break;
    }
    return (enum blank)blank;
}

static void fill_in(struct tk_slice text, const struct filling *filling, struct tk_buf *out)
{
    while (text.len > 0) {
        enum blank blank = find_blank(text);
        size_t len = blank < BLANK_COUNT ? strlen(blanks[blank]) : 1;
        if (blank < BLANK_COUNT)
            tk_buf_append_slice(out, tk_buf_slice(&filling->texts[blank]));
        else
            tk_buf_append_char(out, *text.ptr);
        text = tk_slice(text.ptr + len, text.len - len);
    }
}

static void read_settings(const struct api_settings *settings, struct filling *filling)
{
    struct tk_buf *texts = filling->texts;
    struct tk_slice server = TK_SLICE("/");

    if (settings->public_url != NULL)
        server = tk_slice_str(settings->public_url);
    tk_json_write_string(&texts[BLANK_SERVER], server);
    tk_buf_appendf(&texts[BLANK_LEADERBOARD_MAX], "%" PRId64, settings->leaderboard_max);
    tk_buf_appendf(&texts[BLANK_NICKNAME_MAX], "%" PRId64, settings->nickname_max);
    tk_buf_appendf(&texts[BLANK_STAMPS_MAX], "%" PRId64, settings->stamps_max);
    tk_buf_append_str(&texts[BLANK_VERSION], TAKO_VERSION);
    jsonapi_write_error_codes(&texts[BLANK_ERROR_CODES]);
}

/* A document with the schemas in it, which refer to each other by where they stand. */
static void write_document(struct tk_slice document, const char *definitions,
                           struct filling *filling, struct tk_buf *out)
{
    struct tk_buf *schemas = &filling->texts[BLANK_SCHEMAS];

    tk_buf_clear(&filling->texts[BLANK_DEFINITIONS]);
    tk_buf_append_str(&filling->texts[BLANK_DEFINITIONS], definitions);
    tk_buf_clear(schemas);
    fill_in(EMBEDDED(description_schemas), filling, schemas);
    fill_in(document, filling, out);
}

void description_init(struct description *description, const struct api_settings *settings)
{
    struct filling filling = {0};

    *description = (struct description){0};
    read_settings(settings, &filling);
    write_document(EMBEDDED(description_open_api), "#/components/schemas", &filling,
                   &description->open_api);
    write_document(EMBEDDED(description_json_schema), "#/$defs", &filling,
                   &description->json_schema);
    for (size_t i = 0; i < BLANK_COUNT; i++)
        tk_buf_fini(&filling.texts[i]);
}

void description_fini(struct description *description)
{
    tk_buf_fini(&description->open_api);
    tk_buf_fini(&description->json_schema);
}
