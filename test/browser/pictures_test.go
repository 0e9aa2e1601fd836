package browser

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/kyujobs/kyu/test/kit/harness"
)

var picturesIn = flag.String("pictures", "", "also write the pictures into a `folder`")

// maxPicture is the most bytes of a picture: everybody who clones the repository loads it.
const maxPicture = 150_000

// pictures are those of docs/dashboard.md.
var pictures = []struct {
	name, path string
	look       look
}{
	{"dashboard-overview.png", "/", look{"en", "light", wide, true}},
	{"dashboard-retries.png", "/retries?filter=host%3Asocial-5.example+retry%3E4",
		look{"en", "dark", wide, true}},
	{"dashboard-job.png", "/jobs/" + jid(90_004), look{"en", "light", wide, true}},
	{"dashboard-queues-ja.png", "/queues", look{"ja", "dark", narrow, true}},
}

func TestPictures(t *testing.T) {
	s := scene{harness.New(t), time.Now()}
	s.prepare()
	f := &fleet{Site: s.Site}
	f.url = f.dashboard()
	p := newChromium(t).open(t)
	page, err := os.ReadFile(filepath.Join(harness.Root(), "docs/dashboard.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range pictures {
		t.Run(want.name, func(t *testing.T) {
			p := p.with(t, want.look)
			p.check(spot{url: f.url + want.path, status: 200})
			picture, size := reduce(t, run(p, chromedp.CaptureScreenshot()))
			if int64(size.X) != want.look.width || len(picture) > maxPicture {
				t.Errorf("%d bytes, %v", len(picture), size)
			}
			if !strings.Contains(string(page), "(img/"+want.name+")") {
				t.Error("docs/dashboard.md does not show it")
			}
			if *picturesIn == "" {
				return
			}
			path := filepath.Join(*picturesIn, want.name)
			if err := os.WriteFile(path, picture, 0o644); err != nil {
				t.Error(err)
			}
		})
	}
}

// reduce makes a picture small: it keeps its 256 most frequent colours, which are nearly all.
func reduce(t *testing.T, picture []byte) (reduced []byte, size image.Point) {
	t.Helper()
	from, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	all, counts := from.Bounds(), map[color.Color]int{}
	for y := range all.Dy() {
		for x := range all.Dx() {
			counts[from.At(x, y)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int {
		return cmp.Compare(counts[b], counts[a])
	})
	to := image.NewPaletted(all, frequent[:min(len(frequent), 256)])
	draw.Draw(to, all, from, image.Point{}, draw.Src)
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestCompression}
	if err := e.Encode(&b, to); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), all.Size()
}
