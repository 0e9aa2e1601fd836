package jobs

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// deciding lists the keys by which readers identify an object and its kind.
var deciding = []string{"@context", "id", "type"}

// objectID checks that an answer is an ActivityStreams object, and returns its id in its
// canonical form.
func objectID(got *answer) (*url.URL, error) {
	if !mediaTypeOf(got.header).isActivity() {
		return nil, fmt.Errorf("the content type is %.60q: want %s", got.header.Get("Content-Type"),
			activityJSON)
	}
	if got.cut {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxBody)
	}
	text, err := idOf(got.body)
	if err != nil {
		return nil, err
	}
	id, err := storable(text)
	if err != nil {
		return nil, fmt.Errorf("the object's id %.60q: %w", text, err)
	}
	return id, nil
}

// idOf returns the id of a JSON object. It refuses an object that other readers may read
// in another way, because they would find it under an id that is not its own: one that
// has a key twice, at any depth, or a deciding key in another spelling.
func idOf(body []byte) (id string, err error) {
	var object map[string]jsontext.Value
	if err := json.Unmarshal(body, &object); err != nil {
		return "", fmt.Errorf("the body is not one JSON object: %.200s", err)
	}
	for key := range object {
		if name := variantOf(key); name != "" {
			return "", fmt.Errorf("the object has the key %.60q, which some readers take for %q",
				key, name)
		}
	}
	if err := json.Unmarshal(object["id"], &id); err != nil {
		return "", errors.New("the object has no id that is a text")
	}
	return id, nil
}

// variantOf returns the deciding key for which some readers take another key, such as Id,
// or the keyword @id of JSON-LD, which means the same as id.
func variantOf(key string) string {
	for _, name := range deciding {
		if key != name && (strings.EqualFold(key, name) || strings.EqualFold(key, "@"+name)) {
			return name
		}
	}
	return ""
}
