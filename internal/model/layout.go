package model

import (
	"strings"

	"sextant/internal/registry"
)

// layouts are the model classes of OpenCompass 0.5.4 by the parser that their
// constructors make: so prompts for a model can be shown that this program
// cannot ask.
var layouts = func() map[string]Class {
	m := map[string]Class{}
	put := func(c Class, names string) {
		for _, n := range strings.Fields(names) {
			m[n] = c
		}
	}
	put(Class{}, "AlayaLM GLM130B HuggingFace HuggingFaceCausalLM InternLM InternTrain LightllmAPI ModelScope ModelScopeCausalLM TurboMindAPIModel TurboMindModel VLLM")
	put(Class{Chat: true, LocalChat: true}, "HuggingFacewithChatTemplate TurboMindModelwithChatTemplate VLLMwithChatTemplate")
	put(Class{Chat: true}, `AI360GPT BaiChuan BailingAPI BlueLMAPI ByteDance Claude ClaudeAllesAPIN ClaudeSDK DeepseekAPI Doubao ERNIEBot Gemini GeminiSDK
		HuggingFaceChatGLM3 Hunyuan KrGPT LLaMA2AccessoryModel LightllmChatAPI LiteLLMAPI Llama2 Llama2Chat MiniMax MiniMaxChatCompletionV2 Mistral Mixtral MoonShot
		Nanbeige OpenAI OpenAISDK OpenAISDKResponse OpenAISDKRollout OpenAISDKStreaming PanGu Qwen Rendu SenseTime StepFun TeleChat TeleChatStream UniGPT XunFei
		XunFeiSpark Yayi YiAPI ZhiPuAI ZhiPuV2AI`)
	return m
}()

// Layout is how prompts for a class of models are laid out: the class itself
// where it can be asked, else one that only has the fields that say so. ok is
// false for classes that nothing is known of.
func Layout(typ string) (c Class, available, ok bool) {
	if c, err := Classes.Lookup(typ); err == nil {
		return c, true, true
	}
	c, ok = layouts[registry.Base(typ)]
	return c, false, ok
}
