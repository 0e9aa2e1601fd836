package envelope

import (
	"encoding/json"
	"fmt"
)

// isActiveJob reports whether a class is one of the wrappers of Rails' ActiveJob
// (docs/wire.md 3.5).
func isActiveJob(class string) bool {
	return class == "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper" ||
		class == "Sidekiq::ActiveJob::Wrapper"
}

// Unwrapped returns the class of the job and its arguments. For an ActiveJob wrapper these are the
// wrapped class and its arguments, as ActiveJob encodes them; for every other job, Class and Args.
func (j *Job) Unwrapped() (class string, args json.RawMessage) {
	if !isActiveJob(j.Class) {
		return j.Class, j.Args
	}
	var inner []struct {
		JobClass  string          `json:"job_class"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if json.Unmarshal(j.Args, &inner) != nil || len(inner) != 1 || inner[0].Arguments == nil {
		return j.Class, j.Args
	}
	class = j.String("wrapped")
	if class == "" {
		class = inner[0].JobClass
	}
	return class, inner[0].Arguments
}

// CurrentAttributes returns the attributes of the request that pushed the job, by name. The values
// are JSON. The map is empty if the job has no attributes. Sidekiq's CurrentAttributes middleware
// writes them under cattr, cattr_1 and so on, each as an object up to Sidekiq 7, and as pairs in
// ActiveJob's encoding from Sidekiq 8 on (docs/wire.md 3.6). To pass attributes to Ruby, push an
// object in Extra under "cattr": every version reads it.
func (j *Job) CurrentAttributes() map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	for i := 0; ; i++ {
		key := "cattr"
		if i > 0 {
			key = fmt.Sprintf("cattr_%d", i)
		}
		token := j.Field(key)
		if token == "" {
			return all
		}
		for name, value := range attributes(token) {
			all[name] = value
		}
	}
}

func attributes(token string) map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(token), &object) == nil {
		return object
	}
	var pairs [][2]json.RawMessage
	if json.Unmarshal([]byte(token), &pairs) != nil {
		return nil
	}
	object = map[string]json.RawMessage{}
	for _, pair := range pairs {
		if name, ok := symbol(pair[0]); ok {
			object[name] = pair[1]
		}
	}
	return object
}

// symbol returns the text of a string, or of a Ruby symbol in ActiveJob's encoding.
func symbol(token json.RawMessage) (string, bool) {
	if text, ok := Unquote(string(token)); ok {
		return text, true
	}
	var s struct {
		Serializer string  `json:"_aj_serialized"`
		Value      *string `json:"value"`
	}
	if json.Unmarshal(token, &s) != nil || s.Value == nil {
		return "", false
	}
	return *s.Value, true
}
