/* SPDX-License-Identifier: MIT */
/* The functions behind the route table. Each answers one exchange (api.h), one way or the other. */
#pragma once

struct exchange;

void users_resource_list(struct exchange *x);   /* H76 */
void users_resource_create(struct exchange *x); /* H60-H66 */
void users_resource_show(struct exchange *x);   /* H75 */
void users_resource_update(struct exchange *x); /* H67-H74 */

void leaderboard_resource_show(struct exchange *x); /* H84-H88 */

void open_api_resource_show(struct exchange *x); /* H105 */
void json_schema_resource_show(struct exchange *x);

void health_resource_live(struct exchange *x); /* H106 */
void health_resource_ready(struct exchange *x);

void metrics_resource_show(struct exchange *x);
