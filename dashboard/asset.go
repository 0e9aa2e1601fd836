package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed assets/*
var assetFiles embed.FS

// asset is a file that pages load. Its name has a hash of its bytes, so browsers keep it for ever.
type asset struct {
	name  string // kyu.0123456789ab.css
	bytes []byte
}

// assets are the files by their names without a hash.
var assets = readAssets()

func readAssets() map[string]asset {
	all := map[string]asset{}
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	for _, f := range files {
		b, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err)
		}
		sum, ext := sha256.Sum256(b), path.Ext(f.Name())
		name := strings.TrimSuffix(f.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		all[f.Name()] = asset{name, b}
	}
	return all
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
