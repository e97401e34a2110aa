"""Counterfactuals by guided denoising: DiME, FastDiME and ACE, on one diffusion model."""
