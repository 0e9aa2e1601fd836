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
