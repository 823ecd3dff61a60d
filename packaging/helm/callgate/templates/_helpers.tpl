{{- define "callgate.name" -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "callgate.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "callgate.labels" -}}
{{ include "callgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "callgate.config" -}}
{{- $policies := dict -}}
{{- range $name, $_ := .Values.policies -}}
{{- $_ := set $policies $name (printf "policy-%s.yaml" $name) -}}
{{- end -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "version" 1 -}}
{{- $_ := set $config "listen" "0.0.0.0:8700" -}}
{{- if .Values.metrics.enabled -}}
{{- $_ := set $config "metrics" "0.0.0.0:9464" -}}
{{- end -}}
{{- $_ := set $config "admin" (dict "listen" "127.0.0.1:8701" "token" "${file:/run/secrets/callgate/admin-token}") -}}
{{- $_ := set $config "log" (dict "format" "json") -}}
{{- $_ := set $config "state" (dict "dir" "/var/lib/callgate/state") -}}
{{- if $policies -}}
{{- $_ := set $config "policies" $policies -}}
{{- end -}}
{{- if not $config.hosts -}}
{{- $_ := unset $config "hosts" -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}
