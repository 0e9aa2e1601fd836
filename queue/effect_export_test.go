package queue

import "github.com/kyujobs/kyu/internal/redisdb"

// ScriptWithEffects is the text of a script with capabilities.
func ScriptWithEffects(base string, list []Capability) string {
	c, err := newCapabilities(list)
	if err != nil {
		panic(err)
	}
	return c.script(base).Text()
}

var (
	AppendEffects = appendEffects
	EffectResult  = effectResult
)

// SettleLua is the settle script as it is without capabilities.
func SettleLua() string { return settleScript.Text() }

// ScriptSHAs are the names of settle and reclaim, each without and with the effects of s.
func ScriptSHAs(s *Store) (settle, reclaim [2]string) {
	pair := func(sc *redisdb.Script) [2]string {
		return [2]string{sc.SHA(), s.effects.copies[sc].SHA()}
	}
	return pair(settleScript), pair(reclaimScript)
}
