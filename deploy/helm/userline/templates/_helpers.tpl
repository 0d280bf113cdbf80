{{- define "userline.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "userline.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "userline.labels" -}}
{{ include "userline.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "userline.seconds" -}}
{{- /* How long stopping may take: sockets, then requests under way, then closing store and bus. */ -}}
{{- $drain := index .Values.settings "USERLINE_DRAIN_SECONDS" | default "10" | float64 | ceil -}}
{{- $requests := index .Values.settings "USERLINE_SHUTDOWN_SECONDS" | default "10" | float64 | ceil -}}
{{- addf $drain $requests 5 | int -}}
{{- end }}
