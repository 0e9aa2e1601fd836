package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// frameHead is the bytes before the body of a record: its length, and its checksum.
const frameHead = 8

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errRecord  = errors.New("a record is incomplete or damaged")
)

// record is a push as it lies on the disk.
type record struct {
	at      time.Time // when it was pushed
	batches []queue.Batch
}

// jobs is the number of its jobs.
func (r *record) jobs() (n int) {
	for i := range r.batches {
		n += len(r.batches[i].Jobs)
	}
	return n
}

// appendFrame appends the record with its length and its checksum.
func (r *record) appendFrame(b []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, frameHead)...)
	b = r.append(b)
	body := b[start+frameHead:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(body, castagnoli))
	return b
}

// append appends the body of the record.
func (r *record) append(b []byte) []byte {
	b = binary.AppendVarint(b, r.at.UnixMicro())
	b = binary.AppendUvarint(b, uint64(len(r.batches)))
	for i := range r.batches {
		batch := &r.batches[i]
		b = appendText(b, batch.Queue)
		b = binary.AppendUvarint(b, uint64(len(batch.Jobs)))
		for k := range batch.Jobs {
			b = appendJob(b, &batch.Jobs[k])
		}
	}
	return b
}

func appendJob(b []byte, j *queue.Pushed) []byte {
	b = appendText(appendText(b, j.JID), j.Payload)
	at := int64(0)
	if !j.At.IsZero() {
		at = j.At.UnixMicro()
	}
	b = binary.AppendVarint(b, at)
	b = binary.AppendUvarint(b, uint64(len(j.Claims)))
	for i := range j.Claims {
		c := &j.Claims[i]
		b = appendTexts(appendTexts(appendText(b, c.Kind), c.Keys), c.Args)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, text := range list {
		b = appendText(b, text)
	}
	return b
}

// parseFrame reads a record with its head. The error is errRecord if b is not exactly one record.
func parseFrame(b []byte) (r record, err error) {
	if len(b) <= frameHead || int(binary.LittleEndian.Uint32(b)) != len(b)-frameHead {
		return r, errRecord
	}
	body := b[frameHead:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return r, errRecord
	}
	p := parser{rest: body}
	r = p.record()
	if p.bad || len(p.rest) > 0 {
		return record{}, errRecord
	}
	return r, nil
}

// parser reads the body of a record. After the first error it returns zero values.
type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) record() (r record) {
	r.at = time.UnixMicro(p.int())
	r.batches = make([]queue.Batch, p.count())
	for i := range r.batches {
		b := &r.batches[i]
		b.Queue = p.text()
		b.Jobs = make([]queue.Pushed, p.count())
		for k := range b.Jobs {
			b.Jobs[k] = p.job()
		}
	}
	return r
}

func (p *parser) job() (j queue.Pushed) {
	j.JID, j.Payload = p.text(), p.text()
	if at := p.int(); at != 0 {
		j.At = time.UnixMicro(at)
	}
	if n := p.count(); n > 0 {
		j.Claims = make([]queue.Claim, n)
	}
	for i := range j.Claims {
		j.Claims[i].Effect = queue.Effect{Kind: p.text(), Keys: p.texts(), Args: p.texts()}
	}
	return j
}

func (p *parser) texts() []string {
	n := p.count()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = p.text()
	}
	return list
}

func (p *parser) text() string {
	n := p.count()
	text := string(p.rest[:n])
	p.rest = p.rest[n:]
	return text
}

// count reads how many bytes or elements follow. Each element takes at least a byte.
func (p *parser) count() int {
	n, size := binary.Uvarint(p.rest)
	if p.fails(size) || n > uint64(len(p.rest)-size) {
		p.fails(0)
		return 0
	}
	p.rest = p.rest[size:]
	return int(n)
}

func (p *parser) int() int64 {
	n, size := binary.Varint(p.rest)
	if p.fails(size) {
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

// fails notes that a number could not be read, and reports whether anything could not.
func (p *parser) fails(size int) bool {
	if size <= 0 {
		p.bad, p.rest = true, nil
	}
	return p.bad
}
