// What the pages do with JavaScript. Without it they work too: they show the state of the moment
// when they were loaded.

import { keyboard } from "./keyboard.js";
import { selection } from "./selection.js";
import { updates } from "./updates.js";

const box = document.getElementById("live");
if (box) updates(box);
keyboard();
selection();
