package lab

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Table writes rows whose cells end with tabs as aligned columns, when it is flushed.
func Table(out io.Writer, head string) *tabwriter.Writer {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, head)
	return w
}
