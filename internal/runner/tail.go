package runner

import (
	"os"
	"strings"
)

// Tail returns the last lines of the log at path, at most 20 and 4 KiB; "" where
// it cannot be read.
func Tail(path string) string {
	const size = 4096
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	b := make([]byte, min(st.Size(), size))
	n, _ := f.ReadAt(b, st.Size()-int64(len(b))) // as much as there is
	text := string(b[:n])
	if st.Size() > size {
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	lines := strings.Split(strings.TrimRight(strings.ToValidUTF8(text, "\uFFFD"), "\n"), "\n")
	if len(lines) > 20 {
		lines = lines[len(lines)-20:]
	}
	return strings.Join(lines, "\n")
}
