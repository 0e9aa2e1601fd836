package envelope

import (
	"cmp"
	"encoding/json"
	"strings"
)

// The classes of ActionMailer's jobs. Their arguments begin with the class of the mailer, its
// method, and the method that delivers the mail (docs/wire.md 3.5).
const (
	mailJob5 = "ActionMailer::DeliveryJob"     // up to Rails 5.2
	mailJob6 = "ActionMailer::MailDeliveryJob" // from Rails 6.0 on
)

// DisplayClass returns the class that Sidekiq's web page shows: display_class, the class that an
// ActiveJob wrapper holds, Mailer#method for a job of ActionMailer, or else the class.
func (j *Job) DisplayClass() string {
	if s := j.String("display_class"); s != "" {
		return s
	}
	// Every log line of a job asks for its class: the arguments are read only if they hold it.
	wrapped := j.String("wrapped")
	if wrapped != "" && wrapped != mailJob5 && wrapped != mailJob6 {
		return wrapped
	}
	class, args := j.Unwrapped()
	if class != mailJob5 && class != mailJob6 {
		return cmp.Or(wrapped, class)
	}
	var mail []json.RawMessage
	if json.Unmarshal(args, &mail) != nil || len(mail) < 2 {
		return class
	}
	mailer, ok := Unquote(string(mail[0]))
	method, also := Unquote(string(mail[1]))
	if !ok || !also {
		return class
	}
	return mailer + "#" + method
}

// DisplayArgs returns the arguments that Sidekiq's web page shows, as a JSON array: those of the
// job in an ActiveJob wrapper without ActiveJob's own keys, a record as its global id, and of a job
// of ActionMailer the arguments of the mail. The last argument of an encrypted job is replaced.
func (j *Job) DisplayArgs() json.RawMessage {
	class, args := j.Unwrapped()
	if isActiveJob(j.Class) {
		return mailArgs(class, withoutMarks(args, 1))
	}
	if encrypt := j.Field("encrypt"); encrypt == "" || encrypt == "false" || encrypt == "null" {
		return args
	}
	var list []json.RawMessage
	if json.Unmarshal(args, &list) != nil || len(list) == 0 {
		return args
	}
	list[len(list)-1] = json.RawMessage(`"[encrypted data]"`)
	return encode(list, args)
}

// mailArgs returns the arguments of a mail for a job of ActionMailer, and args for others.
func mailArgs(class string, args json.RawMessage) json.RawMessage {
	const before = 3 // mailer, method, method of delivery
	var list []json.RawMessage
	if class != mailJob5 && class != mailJob6 || json.Unmarshal(args, &list) != nil ||
		len(list) < before {
		return args
	}
	list = list[before:]
	var mail struct{ Params, Args json.RawMessage }
	if class == mailJob6 && len(list) > 0 && json.Unmarshal(list[0], &mail) == nil {
		list = nil
		for _, part := range []json.RawMessage{mail.Params, mail.Args} {
			if part != nil {
				list = append(list, part)
			}
		}
	}
	return encode(list, args)
}

// activeJobPrefix begins the keys that ActiveJob adds to what it encodes.
const activeJobPrefix = "_aj_"

// withoutMarks returns a value that ActiveJob encoded, without ActiveJob's keys. A record is its
// global id. A value nested deeper than Ruby reads stays as it is.
func withoutMarks(value json.RawMessage, depth int) json.RawMessage {
	if depth > maxDepth {
		return value
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) == nil {
		for i := range list {
			list[i] = withoutMarks(list[i], depth+1)
		}
		return encode(list, value)
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil || object == nil {
		return value
	}
	if id, ok := object["_aj_globalid"]; ok && len(object) == 1 {
		return id
	}
	for key, v := range object {
		if strings.HasPrefix(key, activeJobPrefix) {
			delete(object, key)
		} else {
			object[key] = withoutMarks(v, depth+1)
		}
	}
	return encode(object, value)
}

// encode returns the JSON of v, or instead if v has none.
func encode(v any, instead json.RawMessage) json.RawMessage {
	text, err := Encode(v, 0)
	if err != nil {
		return instead
	}
	return json.RawMessage(text)
}
