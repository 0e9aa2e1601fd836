package queue

// ScriptWithEffects is the text of a script with capabilities.
func ScriptWithEffects(base string, list []Capability) string {
	c, err := newCapabilities(list)
	if err != nil {
		panic(err)
	}
	return c.script(base).full.text
}

var (
	AppendEffects = appendEffects
	EffectResult  = effectResult
)

// SettleLua is the settle script as it is without capabilities.
func SettleLua() string { return settleScript.full.text }

// ScriptSHAs are the names of settle and reclaim, each without and with the effects of s.
func ScriptSHAs(s *Store) (settle, reclaim [2]string) {
	pair := func(sc *script) [2]string {
		return [2]string{sc.full.sha, s.effects.copies[sc].full.sha}
	}
	return pair(settleScript), pair(reclaimScript)
}
