package live

import _ "embed"

// Script is the ES module for the pages: one stream per browser, whatever the number of tabs. Its
// first lines say how a page uses it.
//
//go:embed live.js
var Script string
