package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"sextant/catalog"
	"sextant/internal/registry"
)

// nameRoot is a tree that is searched for configs by name (spec 2.3).
type nameRoot struct {
	fsys fs.FS
	dir  string // in fsys
	disk string // the same on disk, "" for the catalog
}

// nameRoots are the trees for a kind of config, in order: --config-dir, an
// OpenCompass checkout in the current folder, the embedded catalog.
func nameRoots(cwd, configDir, kind string) []nameRoot {
	kinds := []string{kind}
	if kind == "datasets" {
		kinds = append(kinds, "dataset_collections")
	}
	var out []nameRoot
	for _, base := range []string{configDir, filepath.Join("opencompass", "configs")} {
		if !filepath.IsAbs(base) {
			base = filepath.Join(cwd, base)
		}
		for _, k := range kinds {
			d := filepath.Join(base, k)
			if st, err := os.Stat(d); err == nil && st.IsDir() {
				out = append(out, nameRoot{fsys: os.DirFS(d), dir: ".", disk: d})
			}
		}
	}
	for _, k := range kinds {
		if _, err := fs.Stat(catalog.FS(), k); err == nil {
			out = append(out, nameRoot{fsys: catalog.FS(), dir: k})
		}
	}
	return out
}

// namedFile is a config found by name.
type namedFile struct {
	Stem string // file name without .py
	Path string // on disk, or in the catalog
	Disk bool
}

// String is the path as people read it.
func (f namedFile) String() string {
	if f.Disk {
		return f.Path
	}
	return "catalog:" + f.Path
}

// findNames lists the files whose name matches pattern: root after root, and
// in a root by stem; a folder's own files come before those of its
// subfolders. Letter case does not matter; folders are no part of the match.
func findNames(roots []nameRoot, pattern string) []namedFile {
	pattern = strings.ToLower(strings.TrimSuffix(pattern, ".py")) + ".py"
	var out []namedFile
	shadow := map[string]bool{} // a checkout holds what the catalog has too
	for _, r := range roots {
		var hits []namedFile
		walkFilesFirst(r.fsys, r.dir, func(p string) {
			base := path.Base(p)
			if !strings.HasSuffix(base, ".py") || !fnmatch(pattern, strings.ToLower(base)) {
				return
			}
			f := namedFile{Stem: strings.TrimSuffix(base, ".py"), Path: p}
			key := strings.TrimPrefix(p, r.dir+"/")
			if r.disk != "" {
				f.Path, f.Disk = filepath.Join(r.disk, filepath.FromSlash(p)), true
			} else if shadow[key] {
				return
			}
			shadow[key] = true
			hits = append(hits, f)
		})
		sort.SliceStable(hits, func(i, j int) bool { return hits[i].Stem < hits[j].Stem })
		out = append(out, hits...)
	}
	return out
}

func walkFilesFirst(fsys fs.FS, dir string, fn func(string)) {
	es, err := fs.ReadDir(fsys, dir) // sorted by name
	if err != nil {
		return
	}
	for _, e := range es {
		if e.Type().IsRegular() {
			fn(path.Join(dir, e.Name()))
		} else if e.Type()&fs.ModeSymlink != 0 {
			if st, err := fs.Stat(fsys, path.Join(dir, e.Name())); err == nil && st.Mode().IsRegular() {
				fn(path.Join(dir, e.Name()))
			}
		}
	}
	for _, e := range es {
		if e.IsDir() {
			walkFilesFirst(fsys, path.Join(dir, e.Name()), fn)
		}
	}
}

// fnmatch is Python's fnmatch.fnmatchcase: *, ?, [seq] and [!seq].
func fnmatch(pat, s string) bool {
	p, t := []rune(pat), []rune(s)
	var match func(i, j int) bool
	match = func(i, j int) bool {
		for i < len(p) {
			switch p[i] {
			case '*':
				for i < len(p) && p[i] == '*' {
					i++
				}
				if i == len(p) {
					return true
				}
				for ; j <= len(t); j++ {
					if match(i, j) {
						return true
					}
				}
				return false
			case '?':
				if j >= len(t) {
					return false
				}
			case '[':
				end := i + 1
				if end < len(p) && p[end] == '!' {
					end++
				}
				if end < len(p) && p[end] == ']' {
					end++
				}
				for end < len(p) && p[end] != ']' {
					end++
				}
				if end >= len(p) { // no closing bracket: a plain character
					if j >= len(t) || t[j] != '[' {
						return false
					}
					break
				}
				if j >= len(t) || !inSet(p[i+1:end], t[j]) {
					return false
				}
				i = end
			default:
				if j >= len(t) || t[j] != p[i] {
					return false
				}
			}
			i, j = i+1, j+1
		}
		return j == len(t)
	}
	return match(0, 0)
}

func inSet(set []rune, c rune) bool {
	neg := len(set) > 0 && set[0] == '!'
	if neg {
		set = set[1:]
	}
	hit := false
	for i := 0; i < len(set); i++ {
		if i+2 < len(set) && set[i+1] == '-' {
			hit = hit || set[i] <= c && c <= set[i+2]
			i += 2
		} else {
			hit = hit || set[i] == c
		}
	}
	return hit != neg
}

// pickName finds the one file that a word on the command line names: the
// first match, as OpenCompass takes it. others are the further matches.
func pickName(roots []nameRoot, kind, word string) (f namedFile, others []namedFile, err error) {
	hits := findNames(roots, word)
	if len(hits) > 0 {
		return hits[0], hits[1:], nil
	}
	var stems []string
	for _, h := range findNames(roots, "*") {
		stems = append(stems, h.Stem)
	}
	msg := fmt.Errorf("no %s config is called %q", strings.TrimSuffix(kind, "s"), word)
	hint := fmt.Sprintf("`sextant list %s` shows what there is; --config-dir adds a folder of your own", kind)
	if strings.Contains(word, ",") {
		hint = "several names are separated by spaces: " + strings.Join(strings.FieldsFunc(word, func(r rune) bool { return r == ',' }), " ")
	} else if n := registry.Nearest(word, stems); n != "" {
		hint = fmt.Sprintf("did you mean %q? (%s)", n, hint)
	}
	return namedFile{}, nil, &exitError{code: ExitUsage, err: msg, hint: hint}
}
