package spec

import (
	"path/filepath"
	"strings"

	"sextant/internal/py"
)

// ModelAbbr is the abbreviation of a model dict: its `abbr`, or else the type
// and the last two components of its path (OpenCompass utils/abbr.py,
// model_abbr_from_cfg). Hub names such as "Qwen/Qwen2" are taken as they are.
func ModelAbbr(m *py.Dict) string {
	if s := m.Str("abbr"); s != "" {
		return s
	}
	path := strings.TrimRight(filepath.ToSlash(m.Str("path")), "/")
	parts := strings.Split(path, "/")
	if len(parts) > 2 {
		parts = parts[len(parts)-2:]
	}
	return strings.ReplaceAll(m.Str("type")+"_"+strings.Join(parts, "_"), "/", "_")
}

// ModelsAbbr joins the abbreviations of several models (a judged pair).
func ModelsAbbr(ms []*py.Dict) string {
	s := make([]string, len(ms))
	for i, m := range ms {
		s[i] = ModelAbbr(m)
	}
	return strings.Join(s, "_")
}

// DatasetAbbr is the abbreviation of a dataset dict: its `abbr`, or else its
// path and name with slashes replaced (dataset_abbr_from_cfg).
func DatasetAbbr(d *py.Dict) string {
	if s := d.Str("abbr"); s != "" {
		return s
	}
	s := d.Str("path")
	if n := d.Str("name"); n != "" {
		s += "_" + n
	}
	return strings.ReplaceAll(s, "/", "_")
}
