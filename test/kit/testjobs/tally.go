package testjobs

import "github.com/kyujobs/kyu/queue"

// TallyKey is the hash in which Tally counts. Its fields are JIDs and events, with a space between.
const TallyKey = "kyu:tally"

// Tally returns a capability that counts the ends of the jobs with the field tally, by their
// effects: each must have one.
func Tally() queue.Capability {
	return queue.Capability{Kind: "tally", Lua: "redis.call('HINCRBY', keys[1], args[1], 1)",
		Effects: func(j *queue.Job, event queue.EffectEvent) []queue.Effect {
			switch event {
			case queue.EventDone, queue.EventDiscard, queue.EventExpire, queue.EventDead,
				queue.EventPoison, queue.EventDelete:
			default:
				return nil
			}
			if j.Field("tally") != "true" {
				return nil
			}
			return []queue.Effect{{Kind: "tally", Keys: []string{TallyKey},
				Args: []string{j.JID + " " + string(event)}}}
		}}
}
