package inspect

import "context"

// Rate is how many jobs a second went into a queue and out of it, over the last minute.
type Rate struct{ In, Out float64 }

// rates returns the rates of queues by name. A queue without a history is absent.
func (in *Inspector) rates(_ context.Context, _ []string) (map[string]Rate, error) {
	return nil, nil
}
