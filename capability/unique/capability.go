package unique

import (
	_ "embed"

	"github.com/kyujobs/kyu/queue"
)

var (
	//go:embed lua/lock.lua
	lockLua string
	//go:embed lua/effect.lua
	effectLua string
	//go:embed lua/claim.lua
	claimLua string
)

// Capability returns the effects that release the locks of jobs, and the claims that take them. It
// belongs into the queue.Config of each Store that runs, deletes or pushes jobs with locks.
func Capability() queue.Capability {
	return queue.Capability{Kind: kindName, Lua: lockLua + effectLua, Claim: lockLua + claimLua,
		Fields: []string{fieldDigest, fieldOldDigest},
		Effects: func(j *queue.Job, event queue.EffectEvent) []queue.Effect {
			h, ok := heldBy(j)
			if !ok {
				return nil
			}
			return h.effects(j.JID, event)
		},
		Moves: moves()}
}
