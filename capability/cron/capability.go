package cron

import (
	_ "embed"
	"encoding/json"

	"github.com/kyujobs/kyu/queue"
)

// kind is the name of the claims and effects.
const kind = "cron"

var (
	//go:embed lua/claim.lua
	claimLua string
	//go:embed lua/release.lua
	releaseLua string
)

// Capability returns what a Store needs that pushes, runs or deletes the jobs of entries. A program
// passes it in queue.Config.Capabilities.
func Capability() queue.Capability {
	return queue.Capability{Kind: kind, Claim: claimLua, Lua: releaseLua, Effects: release,
		Fields: []string{extraField}, Moves: moves()}
}

// extraField is the field of a payload that holds Kyu's own data.
const extraField = "kyu"

// mark is what the payload of an entry's job says about it.
type mark struct {
	Cron string `json:"cron"`          // the name of the entry
	Slot int64  `json:"slot,omitzero"` // milliseconds; 0 if a person ran the entry
	Lock bool   `json:"lock,omitzero"` // the job holds the lock of the entry
}

// release returns the release of the lock of an entry when its job is over.
func release(j *queue.Job, event queue.EffectEvent) []queue.Effect {
	switch event {
	case queue.EventDone, queue.EventDead, queue.EventDiscard, queue.EventExpire,
		queue.EventPoison, queue.EventDelete:
	default:
		return nil
	}
	token := j.Field(extraField)
	var m mark
	if token == "" || json.Unmarshal([]byte(token), &m) != nil || !m.Lock ||
		checkName(m.Cron) != nil {
		return nil
	}
	return []queue.Effect{{Kind: kind, Keys: []string{lockKey(m.Cron)}, Args: []string{j.JID}}}
}
