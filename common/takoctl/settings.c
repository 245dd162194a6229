/* SPDX-License-Identifier: MIT */
/* takoctl's settings, one row each; see common/tk_settings.h for what is made of them. */
#include "common/takoctl/settings.h"

#define OFFSET(member) offsetof(struct ctl_settings, member)

static const struct {
    unsigned needed_for; /* CTL_NEEDS_*; 0: always */
    struct tk_setting setting;
} all_rows[] = {
    {0, TK_SETTING_ROW_LOG_LEVEL(struct ctl_settings)},
    {CTL_NEEDS_REDIS, TK_SETTING_ROW_REDIS_URL(struct ctl_settings)},
    {CTL_NEEDS_DATABASE, TK_SETTING_ROW_DATABASE_URL(struct ctl_settings)},
    {CTL_NEEDS_DATABASE,
     {"TAKO_DATABASE_TIMEOUT_MS", TK_SETTING_INT, 0, OFFSET(database_timeout_ms), "5000", 100,
      600000,
      "Longest time one database call of `takoctl user` may take, connecting included. `takoctl "
      "migrate` has limits of its own."}},
    {CTL_NEEDS_MIGRATIONS,
     {"TAKO_MIGRATIONS_DIR", TK_SETTING_STRING, 0, OFFSET(migrations_dir), NULL, 0, 0,
      "Directory of the migrations. Unset: ../share/tako/sql/migrations from where takoctl is "
      "(installed), or sql/migrations of the checkout it was built in."}},
    {CTL_NEEDS_USER_RULES,
     {"TAKO_NICKNAME_MAX", TK_SETTING_INT, 0, OFFSET(nickname_max), "24", 3, 255,
      "Longest nickname, in characters as people count them."}},
    {CTL_NEEDS_USER_RULES,
     {"TAKO_STAMPS_MAX", TK_SETTING_INT, 0, OFFSET(stamps_max), "9007199254740991", 0,
      INT64_C(9007199254740991),
      "Highest value of stamps_collected; set it to the number of stamps of the event."}},
    {CTL_NEEDS_USER_RULES,
     {"TAKO_PROFANITY_FILE", TK_SETTING_STRING, 0, OFFSET(profanity_file), NULL, 0, 0,
      "Words that nicknames must not contain, one a line; none switches the check off. Unset: the "
      "list that came with takoctl."}},
};

_Static_assert(TK_ARRAY_LEN(all_rows) == CTL_MAX_SETTINGS, "CTL_MAX_SETTINGS counts the rows");

struct tk_settings_table ctl_settings_table(unsigned needs,
                                            struct tk_setting rows[CTL_MAX_SETTINGS])
{
    struct tk_settings_table table = {.program = "takoctl", .rows = rows};

    for (size_t i = 0; i < TK_ARRAY_LEN(all_rows); i++) {
        if (all_rows[i].needed_for == 0 || (all_rows[i].needed_for & needs) != 0)
            rows[table.count++] = all_rows[i].setting;
    }
    return table;
}
