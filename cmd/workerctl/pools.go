package main

import (
	"github.com/kyujobs/kyu/internal/doctor"
	"github.com/spf13/pflag"
)

// otherPools are the flags for the processes that are not workers.
type otherPools struct {
	doctor.Others
	envFile string
}

func (o *otherPools) flags(f *pflag.FlagSet) {
	f.StringVar(&o.Web, "web", "", "web processes and the threads of each, `NxM` (default: "+
		"WEB_CONCURRENCY and MAX_THREADS)")
	f.StringVar(&o.Streaming, "streaming", "", "streaming processes and the connections of "+
		"each, `NxM` (default: STREAMING_CLUSTER_NUM and DB_POOL)")
	f.StringVar(&o.envFile, "env-file", "", "also read variables from this `FILE`, such as "+
		"Mastodon's .env.production")
}

// check reads the flags before the command runs: a mistake in them is a wrong call.
func (o *otherPools) check() error {
	_, err := o.Pools()
	return err
}

// read reads the file of variables, and returns the processes that the flags or the environment
// give.
func (o *otherPools) read(c *call) (doctor.Others, error) {
	if o.envFile != "" {
		vars, err := readEnvFile(o.envFile)
		if err != nil {
			return doctor.Others{}, err
		}
		c.fallBackTo(vars)
	}
	return o.Or(c.env), nil
}
