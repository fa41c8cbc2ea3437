package pyconf

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"sextant/internal/py"
	"sextant/internal/source"
)

// YAML configs follow PyYAML, that is YAML 1.1: `yes` is true and 1e3 text.

var (
	yamlInt   = regexp.MustCompile(`^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$`)
	yamlFloat = regexp.MustCompile(`^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
	yamlBool  = regexp.MustCompile(`^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$`)
	yamlNull  = regexp.MustCompile(`^(?:~|null|Null|NULL|)$`)
	yamlLine  = regexp.MustCompile(`^yaml: line (\d+): `)
)

type yamlReader struct {
	f      *source.File
	starts []int // offset of each line
	budget int
}

func loadYAML(f *source.File, text string) (py.Value, error) {
	r := &yamlReader{f: f, starts: []int{0}, budget: 1 << 20}
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' {
			r.starts = append(r.starts, i+1)
		}
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		d := &source.Diagnostic{Pos: f.Base(), Msg: strings.TrimPrefix(err.Error(), "yaml: "), Err: err}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			if l, _ := strconv.Atoi(m[1]); l >= 1 && l <= len(r.starts) {
				d.Pos, d.Msg = f.Pos(r.starts[l-1]), strings.TrimPrefix(err.Error(), m[0])
			}
		}
		return nil, d
	}
	if len(n.Content) == 0 {
		return py.NewDict(), nil
	}
	return r.value(n.Content[0], 0)
}

func (r *yamlReader) pos(n *yaml.Node) source.Pos {
	if n.Line < 1 || n.Line > len(r.starts) {
		return r.f.Base()
	}
	return r.f.Pos(min(r.starts[n.Line-1]+max(0, n.Column-1), len(r.f.Text)))
}

func (r *yamlReader) value(n *yaml.Node, depth int) (py.Value, error) {
	if r.budget--; r.budget < 0 || depth > maxData {
		return nil, source.Errorf(r.pos(n), "the document is too large or nested too deeply")
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		l := &py.List{At: r.pos(n)}
		for _, c := range n.Content {
			v, err := r.value(c, depth+1)
			if err != nil {
				return nil, err
			}
			l.Append(v, r.pos(c))
		}
		return l, nil
	case yaml.MappingNode:
		return r.mapping(n, depth)
	}
	return r.scalar(n)
}

func (r *yamlReader) mapping(n *yaml.Node, depth int) (py.Value, error) {
	d := &py.Dict{At: r.pos(n)}
	for i := 0; i+1 < len(n.Content); i += 2 { // merged mappings come first, and lose
		if k := n.Content[i]; k.Value == "<<" && k.Style == 0 {
			v, err := r.value(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			maps := []py.Value{v}
			if l, ok := v.(*py.List); ok {
				maps = nil
				for j := len(l.Items) - 1; j >= 0; j-- {
					maps = append(maps, l.Items[j])
				}
			}
			for _, m := range maps {
				o, ok := m.(*py.Dict)
				if !ok {
					return nil, source.Errorf(r.pos(k), "<< needs a mapping")
				}
				for _, e := range o.Entries() {
					_ = d.Put(e) // the key came out of a dict
				}
			}
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		kn := n.Content[i]
		if kn.Value == "<<" && kn.Style == 0 {
			continue
		}
		k, err := r.value(kn, depth+1)
		if err != nil {
			return nil, err
		}
		v, err := r.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if err := d.Put(py.Entry{Key: k, Val: v, KeyPos: r.pos(kn), Pos: r.pos(n.Content[i+1])}); err != nil {
			return nil, source.Errorf(r.pos(kn), "%v", err)
		}
	}
	return d, nil
}

func (r *yamlReader) scalar(n *yaml.Node) (py.Value, error) {
	s := n.Value
	tag := n.Tag
	if n.Style&yaml.TaggedStyle == 0 {
		if n.Style != 0 { // quoted or a block
			return s, nil
		}
		tag = ""
	}
	plain := strings.ReplaceAll(s, "_", "")
	switch {
	case tag == "!!str":
		return s, nil
	case tag == "!!null" || tag == "" && yamlNull.MatchString(s):
		return nil, nil
	case tag == "!!bool" || tag == "" && yamlBool.MatchString(s):
		switch strings.ToLower(s) {
		case "yes", "true", "on":
			return true, nil
		}
		return false, nil
	case tag == "!!int" || tag == "" && yamlInt.MatchString(s):
		if strings.Contains(plain, ":") { // base 60
			sign, total := 1, 0
			if plain[0] == '-' {
				sign = -1
			}
			for _, p := range strings.Split(strings.TrimLeft(plain, "+-"), ":") {
				d, _ := strconv.Atoi(p)
				total = total*60 + d
			}
			return sign * total, nil
		}
		digits, base := strings.TrimLeft(plain, "+-"), 10
		switch {
		case strings.HasPrefix(digits, "0x"):
			base, digits = 16, digits[2:]
		case strings.HasPrefix(digits, "0b"):
			base, digits = 2, digits[2:]
		case len(digits) > 1 && digits[0] == '0':
			base = 8
		}
		if strings.HasPrefix(plain, "-") {
			digits = "-" + digits
		}
		v, err := py.ParseInt(digits, base)
		if err != nil {
			return nil, source.Errorf(r.pos(n), "%v", err)
		}
		return v, nil
	case tag == "!!float" || tag == "" && yamlFloat.MatchString(s):
		l := strings.ToLower(plain)
		switch strings.TrimLeft(l, "+-") {
		case ".inf":
			if l[0] == '-' {
				return math.Inf(-1), nil
			}
			return math.Inf(1), nil
		case ".nan":
			return math.NaN(), nil
		}
		v, err := strconv.ParseFloat(l, 64)
		if err != nil {
			return nil, source.Errorf(r.pos(n), "invalid number %s", s)
		}
		return v, nil
	case tag == "":
		return s, nil
	}
	return nil, &source.Diagnostic{Pos: r.pos(n), Msg: fmt.Sprintf("YAML tag %s is not supported in a config", tag)}
}
