/* SPDX-License-Identifier: MIT */
/*
 * A client's connection below the Phoenix protocol. The session talks to it through these functions
 * only, so that it does not see what carries its bytes (sockets.h), and can be tested without a
 * network.
 */
#pragma once

#include "common/tk_base.h"

struct transport; /* whatever the implementation needs; the session only hands it back */

struct transport_ops {
    /*
     * Writes whole frames. The bytes are the caller's again on return. False: the connection is
     * broken, kill it. Must not be called while is_blocked.
     */
    bool (*write)(struct transport *t, struct tk_slice frames);
    /* True while the connection still holds bytes of an earlier write; session_on_writable follows.
     */
    bool (*is_blocked)(struct transport *t);
    /* Appends a close frame even while blocked. */
    void (*write_close)(struct transport *t, struct tk_slice frame);
    /* Ends the connection at once; session_on_closed runs before this returns. Only at a turn's
     * end. */
    void (*kill)(struct transport *t);
};
