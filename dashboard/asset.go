package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/kyujobs/kyu/dashboard/live"
)

//go:embed assets/*.css assets/*.js assets/*.svg assets/vendor/*.css assets/vendor/*.js
var assetFiles embed.FS

// asset is a file that pages load. Its name has a hash of its bytes, so browsers keep it for ever.
type asset struct {
	name  string // kyu.0123456789ab.css
	bytes []byte
}

// assets are the files by their names without a hash.
var assets = readAssets()

func readAssets() map[string]asset {
	files := map[string][]byte{"live.js": []byte(live.Script)}
	err := fs.WalkDir(assetFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[d.Name()], err = assetFiles.ReadFile(name)
		}
		return err
	})
	if err != nil {
		panic(err) // the files are embedded
	}
	all := map[string]asset{}
	for name := range files {
		hashed(name, files, all)
	}
	return all
}

// imports finds the modules that a module imports.
var imports = regexp.MustCompile(`(?m)^(import .* from "\./)([a-z]+\.js)"`)

// hashed adds a file to all, and before it the modules that it imports: it names them with their
// hashes, so its own hash changes with theirs.
func hashed(name string, files map[string][]byte, all map[string]asset) asset {
	if done, known := all[name]; known {
		return done
	}
	text := string(files[name])
	for _, m := range imports.FindAllStringSubmatch(text, -1) {
		text = strings.ReplaceAll(text, m[0], m[1]+hashed(m[2], files, all).name+`"`)
	}
	sum, ext := sha256.Sum256([]byte(text)), path.Ext(name)
	all[name] = asset{strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext,
		[]byte(text)}
	return all[name]
}

// serveAsset answers everybody, so that the page that asks who one is looks like the others.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	for _, a := range assets {
		if a.name == r.PathValue("file") {
			w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(a.name)))
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			w.Write(a.bytes)
			return
		}
	}
	http.NotFound(w, r)
}
