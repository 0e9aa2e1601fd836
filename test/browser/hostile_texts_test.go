package browser

import "strings"

// hostile are texts that break pages which show them as they are. An element or an attribute that
// comes out of them has "mark" in its name, or is one that pages do not have. A script calls mark.
var hostile = []string{
	// Elements, also out of other elements.
	`<script>mark()</script>`, `</code></td><script>mark()</script>`, `<ScRiPt>mark()</sCrIpT>`,
	`</title><script>mark()</script>`, `</textarea><svg/onload=mark()>`,
	`<script src=//mark></script>`,
	`--><script>mark()</script>`, `]]><mark`, `<!--mark`, `<![CDATA[<mark>]]>`,
	`<<script>mark();//<</script>`, `<script/mark>mark()</script>`, "<script\n>mark()</script\n>",
	`</script><script>mark()</script>`, `<svg><script>mark()</script></svg>`,
	`<img src=mark onerror=mark()>`, `"><img src=mark onerror=mark()>`, `'><img src=mark>`,
	`<img src="x` + "`" + `<script>mark()</script>"` + "`" + `>`, `<svg onload=mark()>`,
	`<math><mi//xlink:href="javascript:mark()">`, `<iframe srcdoc="<script>mark()</script>">`,
	`<object data="javascript:mark()">`, `<embed src=mark>`, `<base href="//mark">`,
	`<meta mark http-equiv=refresh content="0;url=//mark">`,
	`<link mark rel=stylesheet href=//mark>`,
	`<style>*{mark}</style>`, `<plaintext>mark`, `<xmp>mark`,
	`<noscript><p title="</noscript><mark>">`,
	`<template><mark></template>`, `<form mark action=//mark><input name=verb>`,
	`<button mark formaction=//mark>mark</button>`, `<details mark open ontoggle=mark()>`,
	`<video><source onerror=mark()></video>`, `<select autofocus onfocus=mark()>`, `<table mark>`,
	`</main></body></html><mark>`, `</form><form mark method=post>`,
	`<a mark href=javascript:mark()>x</a>`,
	// Attributes.
	`' onmouseover='mark()`, `" onfocus="mark()" autofocus="`, `" mark="`, `' mark='`, "` mark=`",
	`x" style="mark:expression(mark())`, `" srcdoc="<script>mark()</script>`, `"/mark="`,
	`\" mark=\"`,
	`" onpointerenter=mark() x="`, `&#34; mark=&#34;`, `&quot;><mark>`, `&lt;mark&gt;`,
	`&#x3c;mark&#x3e;`,
	// Addresses and paths.
	`javascript:mark()`, "java\nscript:mark()", `JaVaScRiPt:mark()`,
	`data:text/html,<script>mark()</script>`,
	`vbscript:mark()`, `//mark.example/`, `https://mark.example/`, `\\mark.example\`,
	`/\mark.example`,
	`../../mark`, `..`, `.`, `/`, `%2e%2e%2fmark`, `%00mark`, `mark?a=b&lang=ja#x`, `;mark=1`,
	`mark%`,
	`mark+a b`, `?lang=ja`, `mark/confirm`,
	// Templates, formats, commands and languages of data.
	`{{.mark}}`, `{{template "top" .}}`, `${mark()}`, `#{mark}`, `<%= mark %>`, "mark%s%d%!(EXTRA)",
	`%n%n%s`, `\"mark\u003cscript\u003e`, `{"__proto__":{"mark":1}}`, `__proto__`,
	`'; DROP TABLE mark; --`,
	"$(mark)", "| mark", `class:mark -"`, `"mark`, "*3\r\n$3\r\nDEL\r\n",
	// Characters.
	"mark\u202Egnp.exe", "mark\u2066\u2067\u200F", "mark\x00nul", "mark\r\nSet-Cookie: a=b",
	"mark\x1b[31m\x1b]0;mark\x07", "mark\u2028line\u2029", "\ufeffmark\ufffe",
	"マーク mark \U0001F469\u200D\U0001F4BB",
	"m" + strings.Repeat("\u0301", 300) + "ark", strings.Repeat("mark-", 20_000),
}
