package kube

import (
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"sextant/internal/object"
	"sextant/internal/py"
	"sextant/internal/registry"
	"sextant/internal/runner"
	"sextant/internal/source"
)

func init() {
	runner.Classes.Register(runner.Class{New: fromClass, Elsewhere: true}, "KubernetesRunner")
}

func fromClass(cfg *py.Dict, env runner.Env) (runner.Runner, []string, error) {
	o := Options{Getenv: env.Getenv, LookupEnv: env.LookupEnv, Log: env.Log}
	notes, err := FromConfig(cfg, &o)
	if err != nil {
		return nil, notes, err
	}
	if o.Kubeconfig != "" && !filepath.IsAbs(o.Kubeconfig) {
		o.Kubeconfig = filepath.Join(env.Dir, o.Kubeconfig)
	}
	return New(o), notes, nil
}

// keys are the arguments of KubernetesRunner; docs/kubernetes.md says what
// they mean.
var keys = map[string]func(*decoder, *Options, py.Value){
	"image":                      func(d *decoder, o *Options, v py.Value) { d.str(v, &o.Image) },
	"image_pull_policy":          func(d *decoder, o *Options, v py.Value) { d.str(v, (*string)(&o.PullPolicy)) },
	"image_pull_secrets":         func(d *decoder, o *Options, v py.Value) { d.strs(v, &o.PullSecrets) },
	"command":                    func(d *decoder, o *Options, v py.Value) { d.strs(v, &o.Command) },
	"namespace":                  func(d *decoder, o *Options, v py.Value) { d.str(v, &o.Namespace) },
	"kubeconfig":                 func(d *decoder, o *Options, v py.Value) { d.str(v, &o.Kubeconfig) },
	"context":                    func(d *decoder, o *Options, v py.Value) { d.str(v, &o.Context) },
	"max_num_workers":            func(d *decoder, o *Options, v py.Value) { d.num(v, 1, &o.MaxNumWorkers) },
	"retry":                      func(d *decoder, _ *Options, v py.Value) { var n int; d.num(v, 0, &n) }, // the stage's policy has it
	"resources":                  (*decoder).resources,
	"gpu_resource":               func(d *decoder, o *Options, v py.Value) { d.str(v, &o.GPUResource) },
	"tolerations":                func(d *decoder, o *Options, v py.Value) { d.object(v, &o.Tolerations) },
	"node_selector":              func(d *decoder, o *Options, v py.Value) { d.strMap(v, &o.NodeSelector) },
	"affinity":                   func(d *decoder, o *Options, v py.Value) { d.object(v, &o.Affinity) },
	"priority_class_name":        func(d *decoder, o *Options, v py.Value) { d.str(v, &o.PriorityClass) },
	"runtime_class_name":         func(d *decoder, o *Options, v py.Value) { d.str(v, &o.RuntimeClass) },
	"security_context":           func(d *decoder, o *Options, v py.Value) { d.object(v, &o.SecurityContext) },
	"service_account":            func(d *decoder, o *Options, v py.Value) { d.str(v, &o.ServiceAccount) },
	"volumes":                    func(d *decoder, o *Options, v py.Value) { d.object(v, &o.Volumes) },
	"volume_mounts":              func(d *decoder, o *Options, v py.Value) { d.object(v, &o.VolumeMounts) },
	"pvc":                        (*decoder).pvc,
	"env":                        (*decoder).env,
	"secret_refs":                (*decoder).secretRefs,
	"labels":                     func(d *decoder, o *Options, v py.Value) { d.strMap(v, &o.Labels) },
	"annotations":                func(d *decoder, o *Options, v py.Value) { d.strMap(v, &o.Annotations) },
	"ttl_seconds_after_finished": func(d *decoder, o *Options, v py.Value) { d.seconds(v, &o.TTL) },
	"termination_grace_seconds":  func(d *decoder, o *Options, v py.Value) { d.seconds(v, &o.Grace) },
	"lost_after_seconds":         func(d *decoder, o *Options, v py.Value) { d.seconds(v, &o.LostAfter) },
	"work_dir_map":               (*decoder).workDirMap,
	"object_store":               (*decoder).objectStore,
	"object_store_endpoint":      (*decoder).objectEndpoint,
	"object_store_region":        func(d *decoder, o *Options, v py.Value) { d.str(v, &o.objects().Region) },
	"object_store_addressing":    (*decoder).objectAddressing,
	"object_store_credentials":   func(d *decoder, o *Options, v py.Value) { d.str(v, &o.objects().Credentials) },
	"object_store_interval":      (*decoder).objectInterval,
	"keep_objects":               (*decoder).keepObjects,
}

// FromConfig reads the runner dict of a config. Arguments that it does not
// know are noted, wrong ones are source diagnostics.
func FromConfig(cfg *py.Dict, o *Options) (notes []string, err error) {
	var errs source.List
	names := make([]string, 0, len(keys))
	for k := range keys {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, e := range cfg.Entries() {
		k, _ := e.Key.(string)
		switch k {
		case "type", "task", "debug", "lark_bot_url", "keep_tmp_file":
			continue
		}
		f := keys[k]
		if f == nil {
			n := fmt.Sprintf("ignored argument of KubernetesRunner: %s=%s", k, py.Repr(e.Val))
			if near := registry.Nearest(k, names); near != "" {
				n += fmt.Sprintf(" (did you mean %s?)", near)
			}
			notes = append(notes, n)
			continue
		}
		if e.Val == nil {
			continue
		}
		f(&decoder{key: k, pos: cfg.PosOf(k), errs: &errs}, o, e.Val)
	}
	if !cfg.Has("image") {
		errs = append(errs, source.Errorf(cfg.PosOf("type"), "KubernetesRunner needs an image").
			WithHint("image='registry.example.com/sextant:1', built with deploy/Dockerfile"))
	}
	if o.Objects != nil && o.Objects.URL == "" && len(errs) == 0 {
		errs = append(errs, source.Errorf(cfg.PosOf("type"), "KubernetesRunner: object_store is missing").WithHint("object_store='s3://bucket/prefix'"))
	}
	if len(errs) > 0 {
		return notes, errs
	}
	return notes, nil
}

// objects are the options of the object store, made where there are none yet.
func (o *Options) objects() *Objects {
	if o.Objects == nil {
		o.Objects = &Objects{}
	}
	return o.Objects
}

// decoder reads the value of one key.
type decoder struct {
	key  string
	pos  source.Pos
	errs *source.List
}

func (d *decoder) fail(pos source.Pos, hint, format string, args ...any) {
	if pos == 0 {
		pos = d.pos
	}
	e := source.Errorf(pos, "KubernetesRunner: "+format, args...)
	if hint != "" {
		e = e.WithHint("%s", hint)
	}
	*d.errs = append(*d.errs, e)
}

func (d *decoder) wrong(want string, v py.Value) {
	d.fail(d.pos, "", "%s must be %s, not %s", d.key, want, py.TypeName(v))
}

func (d *decoder) str(v py.Value, to *string) {
	s, ok := v.(string)
	if !ok {
		d.wrong("a string", v)
		return
	}
	if s == "" {
		d.fail(d.pos, "", "%s is empty", d.key)
		return
	}
	*to = s
}

func (d *decoder) num(v py.Value, least int, to *int) {
	n, ok := v.(int)
	if !ok {
		d.wrong("an int", v)
		return
	}
	if n < least || n > 1e6 {
		d.fail(d.pos, "", "%s is %d, must be %d to 1000000", d.key, n, least)
		return
	}
	*to = n
}

func (d *decoder) seconds(v py.Value, to *time.Duration) {
	var n int
	if d.num(v, 0, &n); n > 0 || v == 0 {
		*to = time.Duration(n) * time.Second
	}
}

func items(v py.Value) ([]py.Value, bool) {
	switch x := v.(type) {
	case *py.List:
		return x.Items, true
	case *py.Tuple:
		return x.Items, true
	}
	return nil, false
}

func (d *decoder) strs(v py.Value, to *[]string) {
	if s, ok := v.(string); ok {
		v = py.NewList(s)
	}
	list, ok := items(v)
	if !ok {
		d.wrong("a list of strings", v)
		return
	}
	var out []string
	for _, x := range list {
		s, ok := x.(string)
		if !ok {
			d.fail(d.pos, "", "%s must be a list of strings, one is %s", d.key, py.TypeName(x))
			return
		}
		out = append(out, s)
	}
	*to = out
}

// text is a scalar as a string; numbers need no quotes.
func text(v py.Value) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case bool:
		return fmt.Sprint(x), true
	case int, float64:
		return py.Repr(x), true
	}
	return "", false
}

func (d *decoder) strMap(v py.Value, to *map[string]string) {
	x, ok := v.(*py.Dict)
	if !ok {
		d.wrong("a dict", v)
		return
	}
	out := map[string]string{}
	for _, e := range x.Entries() {
		k, isStr := e.Key.(string)
		s, ok := text(e.Val)
		if !isStr || !ok {
			d.fail(x.PosOf(e.Key), "", "%s must hold strings, %s is %s", d.key, py.Repr(e.Key), py.TypeName(e.Val))
			continue
		}
		out[k] = s
	}
	*to = out
}

// plain is v as encoding/json has it.
func plain(v py.Value) (any, error) {
	switch x := v.(type) {
	case nil, bool, string, int, float64:
		return x, nil
	case *py.Dict:
		out := map[string]any{}
		for _, e := range x.Entries() {
			k, ok := e.Key.(string)
			if !ok {
				return nil, fmt.Errorf("key %s is no string", py.Repr(e.Key))
			}
			y, err := plain(e.Val)
			if err != nil {
				return nil, err
			}
			out[k] = y
		}
		return out, nil
	}
	list, ok := items(v)
	if !ok {
		return nil, fmt.Errorf("%s is not allowed here", py.TypeName(v))
	}
	out := make([]any, len(list))
	for i, x := range list {
		y, err := plain(x)
		if err != nil {
			return nil, err
		}
		out[i] = y
	}
	return out, nil
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

// object reads what is written as in a manifest of Kubernetes, with its names.
func (d *decoder) object(v py.Value, to any) {
	x, err := plain(v)
	if err != nil {
		d.fail(d.pos, "", "%s: %v", d.key, err)
		return
	}
	b, err := json.Marshal(x)
	if err != nil {
		d.fail(d.pos, "", "%s: %v", d.key, err)
		return
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(to); err != nil {
		pos, msg := d.pos, strings.TrimPrefix(err.Error(), "json: ")
		if m := unknownField.FindStringSubmatch(msg); m != nil {
			msg = fmt.Sprintf("unknown field %q", m[1])
			if p := find(v, m[1]); p != 0 {
				pos = p
			}
		}
		d.fail(pos, "write it as in a manifest of Kubernetes, with its names (persistentVolumeClaim, mountPath, …)", "%s: %s", d.key, msg)
	}
}

// find is where a key stands in v; 0 if nowhere.
func find(v py.Value, key string) source.Pos {
	if x, ok := v.(*py.Dict); ok {
		if x.Has(key) {
			return x.KeyPosOf(key)
		}
		for _, e := range x.Entries() {
			if p := find(e.Val, key); p != 0 {
				return p
			}
		}
	}
	list, _ := items(v)
	for _, x := range list {
		if p := find(x, key); p != 0 {
			return p
		}
	}
	return 0
}

func (d *decoder) resources(o *Options, v py.Value) {
	x, ok := v.(*py.Dict)
	if !ok {
		d.wrong("a dict", v)
		return
	}
	for _, e := range x.Entries() {
		k, _ := e.Key.(string)
		var to *corev1.ResourceList
		switch k {
		case "requests":
			to = &o.Resources.Requests
		case "limits":
			to = &o.Resources.Limits
		default:
			d.fail(x.KeyPosOf(e.Key), "resources=dict(requests=dict(cpu=4, memory='16Gi'), limits=dict(memory='16Gi'))", "resources has requests and limits, not %s", py.Repr(e.Key))
			continue
		}
		y, ok := e.Val.(*py.Dict)
		if !ok {
			d.fail(x.PosOf(e.Key), "", "resources.%s must be a dict, not %s", k, py.TypeName(e.Val))
			continue
		}
		*to = corev1.ResourceList{}
		for _, r := range y.Entries() {
			name, _ := r.Key.(string)
			s, _ := text(r.Val)
			q, err := resource.ParseQuantity(s)
			if name == "" || err != nil || q.Sign() < 0 {
				d.fail(y.PosOf(r.Key), "cpu='500m', memory='16Gi'", "resources.%s: %s is no quantity of %s", k, py.Repr(r.Val), py.Repr(r.Key))
				continue
			}
			(*to)[corev1.ResourceName(name)] = q
		}
	}
}

// fields reads the entries of a dict that have known names; the others are
// mistakes.
func (d *decoder) fields(v py.Value, known ...string) (map[string]string, bool) {
	x, ok := v.(*py.Dict)
	if !ok {
		d.wrong("a dict", v)
		return nil, false
	}
	out := map[string]string{}
	fine := true
	for _, e := range x.Entries() {
		k, _ := e.Key.(string)
		s, isText := text(e.Val)
		switch {
		case !slices.Contains(known, k):
			hint := "known: " + strings.Join(known, ", ")
			if near := registry.Nearest(k, known); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			d.fail(x.KeyPosOf(e.Key), hint, "%s has no %s", d.key, py.Repr(e.Key))
			fine = false
		case !isText:
			d.fail(x.PosOf(e.Key), "", "%s.%s must be a string, not %s", d.key, k, py.TypeName(e.Val))
			fine = false
		default:
			out[k] = s
		}
	}
	return out, fine
}

// pvc is the short form for the claim that holds the work directory.
func (d *decoder) pvc(o *Options, v py.Value) {
	f, ok := d.fields(v, "claim", "mount_path", "local_path", "sub_path")
	if !ok {
		return
	}
	if f["claim"] == "" || !path.IsAbs(f["mount_path"]) {
		d.fail(d.pos, "pvc=dict(claim='work', mount_path='/data')", "pvc needs a claim and a mount_path that begins with /")
		return
	}
	const name = "work"
	o.Volumes = append(o.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: f["claim"]},
	}})
	o.VolumeMounts = append(o.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: f["mount_path"], SubPath: f["sub_path"]})
	if l := f["local_path"]; l != "" {
		o.WorkDirMap = append(o.WorkDirMap, PathMap{filepath.Clean(l), path.Clean(f["mount_path"])})
	}
}

func (d *decoder) env(o *Options, v py.Value) {
	m := map[string]string{}
	if d.strMap(v, &m); len(m) == 0 {
		return
	}
	for _, k := range sortedKeys(m) {
		o.Env = append(o.Env, corev1.EnvVar{Name: k, Value: strings.ReplaceAll(m[k], "$(", "$$(")})
	}
}

// secretRefs takes names of Secrets whose entries all become variables, or a
// dict from variables to 'secret/key'.
func (d *decoder) secretRefs(o *Options, v py.Value) {
	x, ok := v.(*py.Dict)
	if !ok {
		var names []string
		d.strs(v, &names)
		for _, n := range names {
			o.EnvFrom = append(o.EnvFrom, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: n}}})
		}
		return
	}
	for _, e := range x.Entries() {
		k, _ := e.Key.(string)
		s, _ := e.Val.(string)
		name, key, ok := strings.Cut(s, "/")
		if k == "" || !ok || name == "" || key == "" {
			d.fail(x.PosOf(e.Key), "secret_refs=dict(OPENAI_API_KEY='my-secret/key'), or a list of names of Secrets",
				"secret_refs: %s must say 'secret/key'", py.Repr(e.Key))
			continue
		}
		o.Env = append(o.Env, corev1.EnvVar{Name: k, ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key},
		}})
	}
}

func (d *decoder) workDirMap(o *Options, v py.Value) {
	m := map[string]string{}
	d.strMap(v, &m)
	for _, k := range sortedKeys(m) {
		if !filepath.IsAbs(k) || !path.IsAbs(m[k]) {
			d.fail(d.pos, "work_dir_map={'/home/me/outputs': '/data/outputs'}", "work_dir_map must map absolute paths to absolute paths, not %q to %q", k, m[k])
			continue
		}
		o.WorkDirMap = append(o.WorkDirMap, PathMap{filepath.Clean(k), path.Clean(m[k])})
	}
}

func (d *decoder) objectStore(o *Options, v py.Value) {
	var s string
	if d.str(v, &s); s == "" {
		return
	}
	if _, _, err := object.ParseURL(s); err != nil {
		d.fail(d.pos, "object_store='s3://bucket/prefix'; another store than Amazon's is named by object_store_endpoint", "object_store: %v", err)
		return
	}
	o.objects().URL = strings.TrimRight(s, "/")
}

func (d *decoder) objectEndpoint(o *Options, v py.Value) {
	var s string
	if d.str(v, &s); s == "" {
		return
	}
	if err := object.CheckEndpoint(s); err != nil {
		d.fail(d.pos, "object_store_endpoint='https://minio.example.com:9000'", "object_store_endpoint: %v", err)
		return
	}
	o.objects().Endpoint = s
}

func (d *decoder) objectAddressing(o *Options, v py.Value) {
	var s string
	d.str(v, &s)
	if s != "" && s != "path" && s != "virtual" {
		d.fail(d.pos, "path: https://host/bucket/key; virtual: https://bucket.host/key", "object_store_addressing is %q, must be path or virtual", s)
		return
	}
	o.objects().Addressing = s
}

// objectInterval is in seconds; parts of one are allowed.
func (d *decoder) objectInterval(o *Options, v py.Value) {
	var f float64
	switch x := v.(type) {
	case int:
		f = float64(x)
	case float64:
		f = x
	default:
		d.wrong("a number of seconds", v)
		return
	}
	if f < 0.01 || f > 60 {
		d.fail(d.pos, "", "object_store_interval is %s, must be 0.01 to 60 seconds", py.Repr(v))
		return
	}
	o.objects().Interval = time.Duration(f * float64(time.Second))
}

func (d *decoder) keepObjects(o *Options, v py.Value) {
	b, ok := v.(bool)
	if !ok {
		d.wrong("True or False", v)
		return
	}
	if b || o.Objects != nil {
		o.objects().Keep = b
	}
}

func sortedKeys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
