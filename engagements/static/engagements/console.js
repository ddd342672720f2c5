/* What the console's pages do with script; every one of them works without.

   One module for each idea. Loaded by templates/engagements/admin/live_head.html. */

import * as keys from "./keys.js";
import * as live from "./live.js";
import * as selection from "./selection.js";
import * as times from "./times.js";

selection.follow();
times.start();
live.start();
keys.start();
